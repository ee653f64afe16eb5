"""What a broker has reported so far of all it holds and has open: complete when it says so.

Kept by its dialogue. Invariant: what is given to the engine is a whole report, so that what is not in it
is not there.
"""

from ems_service.core.inputs import Cause, Input, OpenOrdersReported, PositionReport, PositionsReported, RefState
from ems_service.core.values import Fate
from pitline.broker.v1 import event_pb2, request_pb2


class Reported:
    """The reports of the broker known as `broker`."""

    def __init__(self, broker: str) -> None:
        self._cause = Cause(broker=broker)
        self._held: set[tuple[str, str]] = set()
        self._open: set[str] = set()

    def note(self, given: Input) -> None:
        """An item of a report, or anything else, which none is."""
        match given:
            case PositionReport():
                self._held.add((given.account, given.symbol))
            case RefState(fate=Fate.WORKING):
                self._open.add(given.order_ref)
            case _:
                pass

    def ended(self, event: event_pb2.BrokerEvent) -> list[Input]:
        """The whole report, if the event says that one is complete."""
        if not event.HasField("report_end"):
            return []
        match event.report_end.what:
            case request_pb2.REPORT_KIND_POSITIONS:
                return [self.all_positions()]
            case request_pb2.REPORT_KIND_OPEN_ORDERS:
                order_refs, self._open = self._open, set()
                return [OpenOrdersReported(self._cause, frozenset(order_refs))]
            case _:
                return []

    def all_positions(self) -> PositionsReported:
        """Everything that it holds, all of it told."""
        held, self._held = self._held, set()
        return PositionsReported(self._cause, frozenset(held))
