"""What a broker's events mean on one stream."""

import pytest

from ems_service.convert.broker import ProtocolError
from ems_service.core.inputs import Cause, LinkChanged, Unhandled, Unreadable
from ems_service.core.state import State
from ems_service.core.values import BrokerState
from ems_service.dialogue import Dialogue, known
from pitline.broker.v1.event_pb2 import Ack, BrokerEvent, BrokerHeartbeat, HelloAck, Link, OrderFill, RecoverEnd
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER

RECOVER_END = BrokerEvent(recover_end=RecoverEnd())


def _dialogue(head_broker_seq: int = 7) -> Dialogue:
    dialogue = Dialogue("paper", "fsync", known(State("JOURNAL0"), "paper"), [])
    ack = HelloAck(store_id="S", environment=ENVIRONMENT_PAPER, head_broker_seq=head_broker_seq)
    dialogue.accepted(dialogue.begin(BrokerEvent(hello_ack=ack)), [])
    return dialogue


def _ack(broker_seq: int) -> BrokerEvent:
    return BrokerEvent(broker_seq=broker_seq, ack=Ack(order_ref="R", broker_order_id="B"))


def test_the_broker_is_up_when_its_recovery_has_ended_and_once() -> None:
    dialogue = _dialogue()
    assert dialogue.take(_ack(8)) != []
    assert not dialogue.recovered
    assert dialogue.take(RECOVER_END) == [LinkChanged(Cause(broker="paper"), BrokerState.UP, "")]
    assert dialogue.recovered
    assert dialogue.take(RECOVER_END) == []


def test_a_venue_that_is_down_is_told_at_the_end_of_the_recovery() -> None:
    dialogue = _dialogue()
    down = Link(state=Link.STATE_DOWN, text="closed")
    assert dialogue.take(BrokerEvent(broker_seq=8, link=down)) == [Unhandled(Cause(broker="paper", broker_seq=8))]
    assert dialogue.take(RECOVER_END) == [LinkChanged(Cause(broker="paper"), BrokerState.DOWN, "closed")]


def test_no_event_of_the_log_is_skipped_and_one_may_come_again() -> None:
    dialogue = _dialogue()
    for broker_seq in (8, 9, 8):
        assert dialogue.take(_ack(broker_seq)) != []
    with pytest.raises(ProtocolError, match="broker_seq 11 follows 9"):
        dialogue.take(_ack(11))


def test_what_cannot_be_read_is_kept_and_heartbeats_mean_nothing() -> None:
    dialogue = _dialogue()
    (given,) = dialogue.take(BrokerEvent(broker_seq=8, fill=OrderFill(order_ref="R")))
    assert isinstance(given, Unreadable)
    assert dialogue.take(BrokerEvent(heartbeat=BrokerHeartbeat())) == []
