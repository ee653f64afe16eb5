"""What every broker says of one stream alone, with broker_seq 0. Called by its engine."""

from pitline.broker.v1.event_pb2 import BrokerEvent, BrokerHeartbeat, ReportEnd
from pitline.broker.v1.request_pb2 import ReportKind


def report_end(what: ReportKind.ValueType) -> BrokerEvent:
    """A report is complete."""
    return BrokerEvent(report_end=ReportEnd(what=what))


def heartbeat(time_ns: int, receive_ns: int) -> BrokerEvent:
    """A sign of life: the market's time and the wall's, ns since 1970."""
    message = BrokerEvent(heartbeat=BrokerHeartbeat())
    message.time.FromNanoseconds(time_ns)
    message.receive_time.FromNanoseconds(receive_ns)
    return message
