"""Row 17: whoever the broker is, a dialog reads the same to the client: paper and the scripted broker side by side."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest

from pitline.types.v1.order_pb2 import TIME_IN_FORCE_FOK, TIME_IN_FORCE_IOC, TimeInForce
from support.dialog import Client
from support.lines import lines
from support.orders import buy, sell
from support.venues import Venue, VenueName, venue_of


@pytest.fixture(params=["sim", "paper"])
async def venue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Venue]:
    """The same market behind another broker each time."""
    async with venue_of(cast("VenueName", request.param), tmp_path) as opened:
        yield opened


def told(a: Client, venue: Venue) -> list[str]:
    """What the client was told, in order; its account by the local name. Balances are the broker's own affair."""
    broker = venue.desk.account.partition(".")[0]
    return [line.replace(f" {broker}.", " ") for line in lines(a.news) if not line.startswith("balance")]


async def test_an_order_that_rests_is_canceled(venue: Venue) -> None:
    await venue.displays("X-USD", bid="99", ask="101")
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        a.cancel("a-1")
        await a.sees("order_canceled")
        a.cancel("a-1")
        await a.sees("command_refused")
        assert told(a, venue) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
            "command_refused TOO_LATE cancel.order",
        ]


async def test_an_order_that_takes_is_filled_at_the_displayed_price(venue: Venue) -> None:
    await venue.displays("X-USD", bid="99", ask="100")
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="105"))
        await a.sees("position_changed")
        a.submit("a-2", sell("3", "X-USD"))
        await a.sees("position_changed")
        assert told(a, venue) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_filled a-1 FILLED 1 @ 100",
            "position_changed main X-USD 1 @ 100",
            "order_routed a-2 PENDING_NEW",
            "order_acked a-2 WORKING",
            "order_filled a-2 FILLED -3 @ 99",
            "position_changed main X-USD -2 @ 99",
        ]


async def test_an_order_is_filled_in_parts_and_the_rest_is_canceled(venue: Venue) -> None:
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100"))
        await a.sees("order_acked")
        await venue.displays("X-USD", ask="100", qty="1")
        await a.sees("position_changed")
        await venue.displays("X-USD", ask="99", qty="0.5")
        await a.sees("position_changed")
        a.cancel("a-1")
        canceled = await a.sees("order_canceled")
        assert told(a, venue) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "order_filled a-1 PARTIALLY_FILLED 1 @ 100",
            "position_changed main X-USD 1 @ 100",
            "order_filled a-1 PARTIALLY_FILLED 0.5 @ 100",
            "position_changed main X-USD 1.5 @ 100",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
        ]
        assert (canceled.state.cum_qty, canceled.state.leaves_qty) == ("1.5", "0")


@pytest.mark.parametrize(
    ("time_in_force", "outcome"),
    [
        (TIME_IN_FORCE_IOC, ["order_filled a-1 PARTIALLY_FILLED 1 @ 100", "position_changed main X-USD 1 @ 100"]),
        (TIME_IN_FORCE_FOK, []),
    ],
    ids=["IOC", "FOK"],
)
async def test_what_is_not_filled_at_once_is_canceled(
    venue: Venue, time_in_force: TimeInForce.ValueType, outcome: list[str]
) -> None:
    await venue.displays("X-USD", ask="100", qty="1")
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100", time_in_force=time_in_force))
        await a.sees("order_canceled")
        await a.quiet()
        assert told(a, venue) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            *outcome,
            "order_canceled a-1 CANCELED NOT_FILLED_AT_ONCE",
        ]


async def test_fok_fills_whole(venue: Venue) -> None:
    await venue.displays("X-USD", ask="100", qty="3")
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100", time_in_force=TIME_IN_FORCE_FOK))
        await a.sees("position_changed")
        assert told(a, venue)[2:] == ["order_filled a-1 FILLED 3 @ 100", "position_changed main X-USD 3 @ 100"]


async def test_a_market_order_without_a_market_is_rejected(venue: Venue) -> None:
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD"))
        await a.sees("order_rejected")
        assert told(a, venue) == ["order_routed a-1 PENDING_NEW", "order_rejected a-1 REJECTED NO_MARKET"]


async def test_an_edit_moves_an_order_and_one_that_becomes_marketable_fills_once(venue: Venue) -> None:
    await venue.displays("X-USD", ask="100", qty="1")
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="90"))
        await a.sees("order_acked")
        a.modify("a-1", qty="2", limit="95")
        await a.sees("order_modified")
        a.modify("a-1", qty="1", limit="101")
        await a.sees("position_changed")
        a.modify("a-1", limit="102")
        await a.sees("command_refused")
        assert told(a, venue) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "modify_requested a-1 PENDING_REPLACE 2 @ 95",
            "order_modified a-1 WORKING 2 @ 95",
            "modify_requested a-1 PENDING_REPLACE 1 @ 101",
            "order_modified a-1 WORKING 1 @ 101",
            "order_filled a-1 FILLED 1 @ 100",
            "position_changed main X-USD 1 @ 100",
            "command_refused TOO_LATE modify.order",
        ]


async def test_a_part_filled_order_that_is_cut_to_what_is_filled_has_ended(venue: Venue) -> None:
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("3", "X-USD", limit="100"))
        await a.sees("order_acked")
        await venue.displays("X-USD", ask="100", qty="1")
        await a.sees("position_changed")
        a.modify("a-1", qty="1")
        modified = await a.sees("order_modified")
        assert told(a, venue)[4:] == [
            "modify_requested a-1 PENDING_REPLACE 1 @ 100",
            "order_modified a-1 FILLED 1 @ 100",
        ]
        assert (modified.state.cum_qty, modified.state.leaves_qty) == ("1", "0")
    assert await venue.desk.open_orders() == []


async def test_a_fill_while_the_client_is_away_is_told_when_it_is_back(venue: Venue) -> None:
    async with venue.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
    await venue.displays("X-USD", ask="100")
    async with venue.desk.client("A", resume=a.token) as again:
        await again.sees("position_changed")
        assert told(again, venue) == ["order_filled a-1 FILLED 1 @ 100", "position_changed main X-USD 1 @ 100"]
