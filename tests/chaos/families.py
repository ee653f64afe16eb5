"""Orders that hang together, in the journal of a run: those that were submitted together, and the parts of those with
route BEST. Used by the checker; the first thing that is wrong with either ends its part.
"""

from collections.abc import Callable, Iterable, Sequence

from pitline.ems.v1.command_pb2 import SubmitGroup
from pitline.ems.v1.event_pb2 import Event
from support.linked_orders import LinkedOrders
from support.routed_orders import RoutedOrders

LINKED, ROUTED = "linked orders", "route BEST"


class HungTogether:
    """Follows a journal commit by commit. `faults` are (check, what is wrong)."""

    def __init__(self, groups: Iterable[tuple[str, SubmitGroup]]) -> None:
        self.faults: list[tuple[str, str]] = []
        self._linked, self._routed = LinkedOrders(groups), RoutedOrders()
        self._found: set[str] = set()

    def follow(self, commit: Sequence[Event]) -> None:
        """What was stored together."""
        self._judge(LINKED, lambda: self._linked.follow(commit))
        self._judge(ROUTED, lambda: self._routed.follow(commit))

    def conclude(self) -> None:
        """The journal has ended, and nothing was left to do."""
        self._judge(LINKED, self._linked.stand)

    def _judge(self, check: str, judge: Callable[[], None]) -> None:
        if check in self._found:
            return
        try:
            judge()
        except AssertionError as wrong:
            self._found.add(check)
            self.faults.append((check, str(wrong)))
