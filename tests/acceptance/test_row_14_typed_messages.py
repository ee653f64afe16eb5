"""Row 14: what is malformed is refused by the field at fault, the stream stays up, and nothing changes.

Each field's own rows are in tests/ems_service/convert; here the dialog around them.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import pytest

from pitline.ems.v1.command_pb2 import Cancel, CancelGroup, Command, Modify, Open, OrderKey, Submit, SubmitGroup
from pitline.ems.v1.trading_service_pb2 import (
    ListOrdersRequest,
    ListOrdersResponse,
    SubmitOrderRequest,
    TradeRequest,
)
from pitline.types.v1.order_pb2 import OrderTerms
from support.desk import Desk
from support.dialog import Client, End, refused
from support.lines import lines
from support.orders import buy
from support.stack import SimStack

MEGABYTE = "x" * 1_000_000


def terms(**spoiled: object) -> OrderTerms:
    """Sound terms, with some fields spoiled."""
    spoilt = buy("1", "X-USD", limit="100", account="sim.main")
    for name, value in spoiled.items():
        setattr(spoilt, name, value)
    return spoilt


def submitted(terms: OrderTerms, client_order_id: str = "a-2") -> Command:
    return Command(submit=Submit(client_order_id=client_order_id, terms=terms))


UNKNOWN_ARM = Command.FromString(bytes([15 << 3 | 2, 0]))
"""An arm that a newer contract may have: field 15, an empty message."""

MALFORMED: dict[str, tuple[Command, str, str]] = {
    "an unknown side": (submitted(terms(side=77)), "UNKNOWN_VALUE", "submit.terms.side"),
    "no side": (submitted(terms(side=0)), "REQUIRED", "submit.terms.side"),
    "a NaN price": (submitted(terms(limit_px="NaN")), "MALFORMED", "submit.terms.limit_px"),
    "an empty symbol": (submitted(terms(symbol="")), "REQUIRED", "submit.terms.symbol"),
    "an id of a megabyte": (submitted(terms(), MEGABYTE), "TOO_LARGE", "submit.client_order_id"),
    "a command id of a megabyte": (Command(command_id=MEGABYTE, cancel=Cancel()), "TOO_LARGE", "command_id"),
    "a price of a megabyte": (submitted(terms(limit_px="9" * 1_000_000)), "MALFORMED", "submit.terms.limit_px"),
    "no terms": (Command(submit=Submit(client_order_id="a-2")), "REQUIRED", "submit.terms"),
    "a modify of nothing": (Command(modify=Modify(limit_px="1")), "REQUIRED", "modify.order"),
    "a NaN modify": (
        Command(modify=Modify(order=OrderKey(client_order_id="a-1"), limit_px="NaN")),
        "MALFORMED",
        "modify.limit_px",
    ),
    "a cancel of nothing": (Command(cancel=Cancel()), "REQUIRED", "cancel.order"),
    "no arm": (Command(), "REQUIRED", "kind"),
    "an unknown arm": (UNKNOWN_ARM, "REQUIRED", "kind"),
    "a second open": (Command(open=Open(client_id="A")), "OUT_OF_SEQUENCE", "open"),
    "a group": (Command(submit_group=SubmitGroup(group_id="g")), "REQUIRED", "submit_group.orders"),
    "a group's cancel": (Command(cancel_group=CancelGroup(group_id="g")), "REQUIRED", "cancel_group.selection"),
}


async def everything(desk: Desk) -> tuple[int, ListOrdersResponse]:
    """The journal's head, and all orders as they are listed."""
    return (await desk.status()).head_seq, await desk.trading.ListOrders(ListOrdersRequest())


@asynccontextmanager
async def a_client_with_an_order(stack: SimStack) -> AsyncGenerator[Client]:
    """A, whose a-1 rests. When the block ends, nothing has changed and the stream takes orders."""
    async with stack.desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-1")
        before, asked = await everything(stack.desk), len(stack.sim.requests)
        yield a
        await a.quiet()
        assert await everything(stack.desk) == before
        assert len(stack.sim.requests) == asked
        a.submit("a-3", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-3")


@pytest.mark.parametrize(("command", "reason", "field"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_malformed_is_refused_by_field_and_changes_nothing(
    on_sim: SimStack, command: Command, reason: str, field: str
) -> None:
    async with a_client_with_an_order(on_sim) as a:
        a.send(command)
        refusal = await a.sees("command_refused")
        assert lines([refusal]) == [f"command_refused {reason} {field}"]
        assert refusal.seq == 0
        assert len(refusal.command_refused.text) < 512  # a megabyte is not sent back


async def test_a_malformed_command_among_others_of_one_message_is_refused_alone(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.send(
            Command(command_id="1", submit=Submit(client_order_id="a-1", terms=terms())),
            Command(command_id="2", submit=Submit(client_order_id="a-2", terms=terms(order_qty="-1"))),
            Command(command_id="3", submit=Submit(client_order_id="a-3", terms=terms())),
        )
        refusal = await a.sees("command_refused")
        assert (refusal.command_id, refusal.command_refused.field) == ("2", "submit.terms.order_qty")
        await a.counts("order_acked", 2)
    assert await on_sim.desk.open_orders() == ["a-3", "a-1"]


async def test_of_two_arms_the_last_counts_as_protobuf_has_it(on_sim: SimStack) -> None:
    both = Command(cancel=Cancel()).SerializeToString() + submitted(terms()).SerializeToString()
    async with on_sim.desk.client("A") as a:
        await a.opened()
        a.send(Command.FromString(both))
        await a.sees("order_acked", "a-2")


async def test_more_commands_than_fit_a_message_end_the_stream_and_change_nothing(on_sim: SimStack) -> None:
    before = await everything(on_sim.desk)
    call = on_sim.desk.trading.Trade()
    await call.write(TradeRequest(commands=[Command(open=Open(client_id="A")), *[submitted(terms())] * 4096]))
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await everything(on_sim.desk) == before


async def test_a_message_beyond_the_limit_ends_the_stream_and_changes_nothing(on_sim: SimStack) -> None:
    async with on_sim.desk.client("A") as a:
        await a.opened()
        before = await everything(on_sim.desk)
        a.send(*[submitted(terms(), MEGABYTE)] * 5)
        assert await a.ended() == End(grpc.StatusCode.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED")
        assert await everything(on_sim.desk) == before


async def test_the_unary_twin_refuses_the_same_by_the_same_field(on_sim: SimStack) -> None:
    async with a_client_with_an_order(on_sim):
        for command, reason, field in MALFORMED.values():
            if command.HasField("submit"):
                call = on_sim.desk.trading.SubmitOrder(SubmitOrderRequest(client_id="A", submit=command.submit))
                refusal = await refused(call)
                assert (refusal.code, refusal.reason, refusal.field) == (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    reason,
                    field,
                )
