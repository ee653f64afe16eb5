"""An exception in a callback of QuickFIX kills the process without a word: so none gets out of one."""

from pathlib import Path
from typing import Any

import pytest

from support import fix_counterparts
from support.waiting import eventually

fix_counterparts.needed()

import quickfix  # noqa: E402  may not be there

from broker_adapters.fix.session import Broken, Credentials, Incoming, Line, VenueSession  # noqa: E402

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


def test_who_logs_in_is_shown_without_the_password() -> None:
    assert "tr0ub4dor" not in repr(Credentials("me", "tr0ub4dor"))
