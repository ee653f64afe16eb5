"""Commands until their answer: batched, sent again, never lost."""

import pytest

from pitline.ems.v1.command_pb2 import Cancel, Command, OrderKey, Submit
from pitline.ems.v1.trading_service_pb2 import TradeRequest
from pitline.types.v1.order_pb2 import OrderTerms
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
        box.put(cancel(command_id))
    assert (sent(box), sent(box)) == (["a", "b", "c"], [])
    assert len(box) == 3


def test_message_holds_no_more_commands_than_the_contract_allows() -> None:
    box = Outbox()
    for number in range(5_000):
        box.put(cancel(str(number)))
    assert [len(sent(box)), len(sent(box)), len(sent(box))] == [4_096, 904, 0]


def test_unanswered_commands_leave_again_in_their_order_and_unchanged() -> None:
    box = Outbox()
    for command_id in "abc":
        box.put(cancel(command_id))
    first = box.next_message()
    box.put(cancel("d"))
    assert box.answer("b") == cancel("b")
    assert box.answer("b") is None
    box.reopen()
    assert sent(box) == ["a", "c", "d"]
    assert first == b"".join(TradeRequest(commands=[cancel(name)]).SerializeToString() for name in "abc")


def test_command_answered_while_it_waits_to_leave_again_stays() -> None:
    box = Outbox()
    box.put(cancel("a"))
    sent(box)
    box.reopen()
    box.answer("a")
    assert sent(box) == []


def test_only_what_was_sent_is_abandoned() -> None:
    box = Outbox()
    box.put(cancel("a"))
    sent(box)
    box.put(cancel("b"))
    box.reopen()
    assert [command.command_id for command in box.abandon_sent()] == ["a"]
    assert sent(box) == ["b"]


def test_too_many_commands_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "COMMANDS_WAITING_MAX", 2)
    box = Outbox()
    box.put(cancel("a"))
    box.put(cancel("b"))
    with pytest.raises(BacklogError, match="2 commands"):
        box.put(cancel("c"))
    box.answer("a")
    box.put(cancel("c"))


def test_command_that_is_too_large_is_refused_where_it_is_made() -> None:
    terms = OrderTerms(symbol="X" * 70_000)
    with pytest.raises(ValueError, match="more than 65536"):
        Outbox().put(Command(command_id="a", submit=Submit(terms=terms)))
