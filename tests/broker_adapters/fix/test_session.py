"""An exception in a callback of QuickFIX kills the process without a word: so none gets out of one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support import fix_counterparts
from support.waiting import DEADLINE_SECONDS, eventually

fix_counterparts.needed()

import quickfix  # noqa: E402  may not be there

from broker_adapters.fix.core.message import parse  # noqa: E402
from broker_adapters.fix.session import (  # noqa: E402
    Broken,
    Credentials,
    Heard,
    Incoming,
    Line,
    LoggedOut,
    NotSentAgain,
    SentAgain,
    VenueSession,
)
from broker_adapters.fix.store import Place  # noqa: E402

NOTHING: Any = None

CALLBACKS = {name for name in dir(quickfix.Application) if name.startswith(("on", "to", "from"))}


def test_every_callback_is_guarded() -> None:
    assert {"onCreate", "onLogon", "onLogout", "toAdmin", "toApp", "fromAdmin", "fromApp"} <= CALLBACKS
    assert [name for name in CALLBACKS if not hasattr(getattr(VenueSession, name), "__wrapped__")] == []


@pytest.mark.parametrize("callback", ["onLogon", "toAdmin", "toApp", "fromAdmin", "fromApp"])
async def test_a_callback_that_fails_is_heard_of_and_raises_nothing(tmp_path: Path, callback: str) -> None:
    heard: list[Incoming] = []
    line = Line("127.0.0.1", 1, "FIX.4.4", "ONE", "VENUE", 10, 1, {}, tmp_path)
    session = VenueSession(line, Credentials("", ""), heard.append)
    (tmp_path / "FIX.4.4-ONE-VENUE.session").unlink()  # what onLogon looks for
    getattr(session, callback)(*[NOTHING] * (1 if callback == "onLogon" else 2))

    async def told() -> Incoming | None:
        return heard[0] if heard else None

    assert isinstance(await eventually(told, "the failure"), Broken)
    await session.stop()


async def test_what_goes_out_again_waits_for_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_adapters.fix.session.HEARD_MESSAGES_MAX", 1)
    heard: list[Incoming] = []
    line = Line("127.0.0.1", 1, "FIX.4.4", "ONE", "VENUE", 10, 1, {}, tmp_path)
    session = VenueSession(line, Credentials("", ""), heard.append)
    session.put(Heard(Place(1, ""), parse("35=8\x0134=1"), ""))
    session.await_answer("R1", 60)
    session.await_answer("R2", 0)
    try:
        # QuickFIX holds its lock meanwhile, and the event loop may wait for that.
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.to_thread(session.toApp, _repeated("R1"), NOTHING)
            with pytest.raises(quickfix.DoNotSend):
                await asyncio.to_thread(session.toApp, _repeated("R2"), NOTHING)
            await asyncio.to_thread(session.onLogout, NOTHING)
    finally:
        await session.stop()
    assert [type(item) for item in heard] == [Heard, SentAgain, NotSentAgain, LoggedOut]


def _repeated(cl_ord_id: str) -> Any:
    return quickfix.Message(f"8=FIX.4.4\x0135=D\x0134=2\x0143=Y\x0111={cl_ord_id}\x01", False)


def test_who_logs_in_is_shown_without_the_password() -> None:
    assert "tr0ub4dor" not in repr(Credentials("me", "tr0ub4dor"))
