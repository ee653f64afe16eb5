"""Row 3: average price, break-even and realized profit of a position, over the wire and exact."""

from dataclasses import dataclass

import pytest

from pitline.ems.v1.trading_service_pb2 import ListPositionsRequest
from pitline.types.v1.position_pb2 import Position
from support.lines import lines
from support.orders import buy, sell
from support.stack import SimStack

Fills = tuple[tuple[str, str, str], ...]
"""(signed quantity, price, fee in USD), in order."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A position; text as on the wire, amounts in USD."""

    signed_qty: str
    avg_px: str
    break_even_px: str
    realized_pnl: str = "0"
    fees: str = "0"


ROW: list[tuple[Fills, Expected]] = [
    ((("1", "100", "0"), ("1", "110", "0"), ("-1", "120", "0")), Expected("1", "105", "105", "15")),
    ((("1", "100", "0"), ("1", "110", "0"), ("-3", "120", "0")), Expected("-1", "120", "120", "30")),
    ((("1", "100", "1"),), Expected("1", "100", "102", fees="1")),
    ((("-1", "100", "1"),), Expected("-1", "100", "98", fees="1")),
    ((("-2", "50", "0.1"), ("1", "40", "0.1")), Expected("-1", "50", "49.9", "10", "0.2")),
]
BEYOND: list[tuple[Fills, Expected]] = [
    # Two thirds have no end: half-even at 18 decimals.
    ((("1", "1", "0"), ("2", "2", "0")), Expected("3", "1.666666666666666667", "1.666666666666666667")),
    # Flat: no price, and what was earned and paid stays.
    ((("1", "100", "0.5"), ("-1", "99", "0.5")), Expected("0", "", "", "-1", "1")),
    # Exact where binary fractions are not.
    ((("0.1", "0.1", "0"), ("0.2", "0.1", "0"), ("-0.3", "0.3", "0")), Expected("0", "", "", "0.06")),
]


@pytest.mark.parametrize(("fills", "expected"), [*ROW, *BEYOND])
async def test_fills_make_the_position(on_sim: SimStack, fills: Fills, expected: Expected) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        for number, (signed_qty, px, fee) in enumerate(fills):
            qty = signed_qty.removeprefix("-")
            terms = sell(qty, "X-USD", limit="1") if signed_qty.startswith("-") else buy(qty, "X-USD", limit="1")
            a.submit(f"a-{number}", terms)
            sim.fill((await sim.next_order()).order_ref, qty, px, fee=fee)
            await a.sees("position_changed")
        told = a.events[-1].position_changed.position
    assert shape(told) == expected
    listed = await on_sim.desk.trading.ListPositions(ListPositionsRequest(include_flat=True))
    assert list(listed.positions) == [told]


async def test_fills_that_come_together_move_the_position_once(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100"))
        await a.sees("order_acked")
        order_ref = (await sim.next_order()).order_ref
        sim.fill(order_ref, "1", "100")
        sim.fill(order_ref, "2", "97")
        await a.sees("position_changed")
        await a.quiet()
        assert lines(a.news)[2:] == [
            "order_filled a-1 PARTIALLY_FILLED 1 @ 100",
            "order_filled a-1 FILLED 2 @ 97",
            "position_changed sim.main X-USD 3 @ 98",
        ]


def shape(position: Position) -> Expected:
    """What the row speaks of."""
    assert position.realized_pnl.currency == "USD"
    assert [fee.currency for fee in position.fees] in ([], ["USD"])
    return Expected(
        position.signed_qty,
        position.avg_px,
        position.break_even_px,
        position.realized_pnl.amount,
        position.fees[0].amount if position.fees else "0",
    )
