"""How a stream begins: with a snapshot of one moment, encoded a part at a time while orders move on."""

from decimal import Decimal
from types import SimpleNamespace
from typing import cast

from ems_service.core.positions import Position
from ems_service.limits import ENCODE_MAX
from ems_service.publisher import Publisher, View
from ems_service.servicers.opening import Token, beginning
from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from pitline.types.v1.order_pb2 import ORDER_STATUS_PENDING_NEW
from support.ems_core import ALICE, PRINCIPAL, connected


def _events(part: object) -> list[Event]:
    return list(TradeResponse.FromString(b"".join(cast("list[bytes]", part))).events)


def test_positions_are_encoded_a_part_at_a_time_too() -> None:
    core = connected()
    for number in range(2 * ENCODE_MAX + 1):
        position = Position("paper.main", f"S{number}", "USD", Decimal(1), Decimal(100), Decimal(100))
        core.state.positions["paper.main", position.symbol] = position
    publisher = cast("Publisher", SimpleNamespace(kept_after_seq=0))
    begun = beginning(View(PRINCIPAL, ALICE), Token("", 0), core.state, publisher, core.now_ns)
    parts = [_events(part) for part in begun.parts]
    assert [len(part) for part in parts] == [1, ENCODE_MAX, ENCODE_MAX, 1, 1]
    assert parts[-1][0].HasField("snapshot_complete")


def test_a_snapshot_tells_one_moment_whatever_happens_while_it_is_encoded() -> None:
    core = connected()
    names = [f"A{number}" for number in range(2 * ENCODE_MAX + 1)]
    for name in names:
        core.buy(name)
    publisher = cast("Publisher", SimpleNamespace(kept_after_seq=0))
    seq = core.state.seq
    begun = beginning(View(PRINCIPAL, ALICE), Token("", 0), core.state, publisher, core.now_ns)
    assert [event.WhichOneof("change") for event in _events(next(begun.parts))] == ["opened"]
    first = _events(next(begun.parts))
    assert len(first) == ENCODE_MAX
    for name in names:
        core.ack(name)
        core.fill(name, "0.5", "100", f"E-{name}")
    later = [event for part in begun.parts for event in _events(part)]
    orders = [event.snapshot_order.order for event in (*first, *later) if event.HasField("snapshot_order")]
    assert [order.client_order_id for order in orders] == names
    assert {(order.state.status, order.broker_order_id) for order in orders} == {(ORDER_STATUS_PENDING_NEW, "")}
    assert (later[-1].snapshot_complete.seq, begun.seq) == (seq, seq)
    assert max(order.last_seq for order in orders) <= seq
