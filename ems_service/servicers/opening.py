"""How a stream of events begins: resumed after a seq, or with a snapshot. Shared by Trade and Watch.

The look into the state and the place from which live events are taken are one step of the engine, so nothing falls
between them. What a snapshot is to say is only set aside in that step, and encoded later, a part at a time, so that
orders do not wait for it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import grpc

from ems_service.convert import report
from ems_service.core.set_aside import brought_back, set_aside
from ems_service.core.state import State
from ems_service.engine import Engine
from ems_service.publisher import Publisher, View
from ems_service.servicers.event_stream import EventStream
from pitline.ems.v1 import event_pb2
from pitline_rpc.status import Refused

_Opened = event_pb2.Opened


@dataclass(frozen=True, slots=True)
class Token:
    """Where a client says that it is: the last seq it took of a journal. Empty: nowhere."""

    journal_id: str
    after_seq: int


async def check(view: View, path: str, engine: Engine) -> None:
    """Raises Refused when the view names an account that there is none of. Before a stream takes anything over."""

    def unknown(state: State) -> list[str]:
        return sorted(account for account in view.accounts or () if state.broker_of(account) is None)

    found = await engine.read_for_client(unknown)
    if found:
        raise Refused(
            grpc.StatusCode.NOT_FOUND, "UNKNOWN_ACCOUNT", f"no account {found[0]}", field=f"{path}view.accounts"
        )


async def begin(stream: EventStream, token: Token, engine: Engine, publisher: Publisher) -> None:
    """Write `opened` and what follows it, and subscribe the stream to the rest."""
    began: asyncio.Future[Beginning] = asyncio.get_running_loop().create_future()

    def seen(found: Beginning) -> None:
        if began.done():
            return  # who asked is gone
        if not found.resumed:
            publisher.subscribe(stream, found.seq)
        began.set_result(found)

    engine.look(lambda state: beginning(stream.view, token, state, publisher, engine.clock.now_ns()), seen)
    found = await began
    for part in found.parts:
        await stream.send(part, None)
        await asyncio.sleep(0)  # the engine's turn: a write may not wait
    await stream.send((), found.seq)
    if found.resumed:
        await stream.send_missed(found.seq)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a stream begins with, up to `seq`: framed events in parts, each encoded when it is asked for."""

    resumed: bool
    seq: int
    parts: Iterator[Sequence[bytes]]


def beginning(view: View, token: Token, state: State, publisher: Publisher, now_ns: int) -> Beginning:
    """As the state stands now, whatever becomes of it until the parts are asked for."""
    why = _why_snapshot(token, state, publisher.kept_after_seq)
    if why is None:
        unspecified = _Opened.SNAPSHOT_REASON_UNSPECIFIED
        resumed = report.opened(state, _Opened.MODE_RESUMED, unspecified, now_ns)
        return Beginning(True, token.after_seq, iter([[resumed]]))
    stood = [
        set_aside(order)
        for order in state.open_orders.values()
        if view.shows_order(order.client_id, order.terms.account, order.principal)
        and view.shows_symbol(order.terms.symbol)
    ]
    positions = [
        position
        for _, position in sorted(state.positions.items())
        if position.signed_qty and view.shows_symbol(position.symbol)
    ]
    opened = report.opened(state, _Opened.MODE_SNAPSHOT, why, now_ns)
    parts = report.snapshot(map(brought_back, stood), positions, state.seq, now_ns)
    return Beginning(False, state.seq, chain([[opened]], parts))


def _why_snapshot(token: Token, state: State, kept_after_seq: int) -> _Opened.SnapshotReason.ValueType | None:
    """None: the token can be resumed from."""
    if not token.journal_id:
        return _Opened.SNAPSHOT_REASON_UNSPECIFIED
    if token.journal_id != state.journal_id:
        return _Opened.SNAPSHOT_REASON_OTHER_JOURNAL
    if token.after_seq > state.seq:
        return _Opened.SNAPSHOT_REASON_BEYOND_HEAD
    if token.after_seq < kept_after_seq:
        return _Opened.SNAPSHOT_REASON_PAST_RETENTION
    return None
