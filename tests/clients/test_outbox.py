"""Commands until their answer: batched, sent again, never lost."""

import pytest

from pitline.ems.v1.command_pb2 import Cancel, Command, OrderKey, Submit
from pitline.ems.v1.trading_service_pb2 import TradeRequest
from pitline.types.v1.order_pb2 import (
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_IOC,
    OrderTerms,
)
from pitline_client import BacklogError, outbox
from pitline_client.outbox import Outbox


def cancel(command_id: str) -> Command:
    return Command(command_id=command_id, cancel=Cancel(order=OrderKey(client_order_id="mine")))


def sent(box: Outbox) -> list[str]:
    message = box.next_message()
    return [] if message is None else [command.command_id for command in TradeRequest.FromString(message).commands]


def test_everything_that_waits_leaves_in_one_message() -> None:
    box = Outbox()
    for command_id in "abc":
        box.put(cancel(command_id), 0)
    assert (sent(box), sent(box)) == (["a", "b", "c"], [])
    assert len(box) == 3


def test_message_holds_no_more_commands_than_the_contract_allows() -> None:
    box = Outbox()
    for number in range(5_000):
        box.put(cancel(str(number)), 0)
    assert [len(sent(box)), len(sent(box)), len(sent(box))] == [4_096, 904, 0]


def test_unanswered_commands_leave_again_in_their_order_and_unchanged() -> None:
    box = Outbox()
    for command_id in "abc":
        box.put(cancel(command_id), 0)
    first = box.next_message()
    box.put(cancel("d"), 0)
    assert box.answer("b") == cancel("b")
    assert box.answer("b") is None
    box.reopen()
    assert sent(box) == ["a", "c", "d"]
    assert first == b"".join(TradeRequest(commands=[cancel(name)]).SerializeToString() for name in "abc")


def test_command_answered_while_it_waits_to_leave_again_stays() -> None:
    box = Outbox()
    box.put(cancel("a"), 0)
    sent(box)
    box.reopen()
    box.answer("a")
    assert sent(box) == []


def test_only_what_was_sent_is_abandoned() -> None:
    box = Outbox()
    box.put(cancel("a"), 0)
    sent(box)
    box.put(cancel("b"), 0)
    box.reopen()
    assert [command.command_id for command in box.abandon_sent()] == ["a"]
    assert sent(box) == ["b"]


def test_too_many_commands_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "COMMANDS_WAITING_MAX", 2)
    box = Outbox()
    box.put(cancel("a"), 0)
    box.put(cancel("b"), 0)
    with pytest.raises(BacklogError, match="2 commands"):
        box.put(cancel("c"), 0)
    box.answer("a")
    box.put(cancel("c"), 0)


def test_command_that_is_too_large_is_refused_where_it_is_made() -> None:
    terms = OrderTerms(symbol="X" * 70_000)
    with pytest.raises(ValueError, match="more than 65536"):
        Outbox().put(Command(command_id="a", submit=Submit(terms=terms)), 0)


def order(command_id: str, terms: OrderTerms) -> Command:
    return Command(command_id=command_id, submit=Submit(client_order_id=command_id, terms=terms))


def test_orders_that_want_the_moment_are_overdue_after_two_seconds_and_others_never() -> None:
    box = Outbox()
    box.put(order("market", OrderTerms(ord_type=ORD_TYPE_MARKET)), 100)
    box.put(order("ioc", OrderTerms(ord_type=ORD_TYPE_LIMIT, time_in_force=TIME_IN_FORCE_IOC)), 100)
    sent(box)
    box.put(order("fok", OrderTerms(ord_type=ORD_TYPE_LIMIT, time_in_force=TIME_IN_FORCE_FOK)), 100)
    box.put(order("rests", OrderTerms(ord_type=ORD_TYPE_LIMIT, time_in_force=TIME_IN_FORCE_GTC)), 100)
    box.put(cancel("cancel"), 100)
    box.put(order("younger", OrderTerms(ord_type=ORD_TYPE_MARKET)), 100.5)
    assert box.overdue(102) == []
    late = [(command.command_id, was_sent) for command, was_sent in box.overdue(102.1)]
    assert late == [("market", True), ("ioc", True), ("fok", False)]
    box.answer("market")
    assert [command.command_id for command, _ in box.overdue(102.1)] == ["ioc", "fok"]
