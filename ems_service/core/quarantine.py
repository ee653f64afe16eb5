"""What a broker says and cannot be taken as it is: kept as it came, told, and not applied.

Called by `ems.py` and by the other modules of what brokers say; they look and change nothing. Invariant: the broker's
log goes on, so one event that nobody understands stops no trading.
"""

from ems_service.core import events, inputs
from ems_service.core.events import Decision
from ems_service.core.inputs import Cause
from ems_service.core.market import Market
from ems_service.core.state import State


def unreadable(state: State, given: inputs.Unreadable, market: Market, now_ns: int) -> Decision:
    """Kept and told."""
    return quarantined(state, given.cause, given.said, given.text, now_ns)


def quarantined(state: State, cause: Cause, said: bytes, text: str, now_ns: int) -> Decision:
    """The bytes are kept, and broker_status tells why; the broker stands where it stood."""
    return [events.Quarantined(0, now_ns, cause, said, text), *told(state, cause, text, now_ns)]


def told(state: State, cause: Cause, text: str, now_ns: int) -> list[events.BrokerStatus]:
    """broker_status with what is wrong."""
    broker = state.brokers[cause.broker]
    where = f"broker_seq {cause.broker_seq}: " if cause.broker_seq else ""
    text = f"quarantined, {where}{text}"
    return [events.BrokerStatus(0, now_ns, cause, cause.broker, broker.state, text)]
