"""Orders whose broker owes an answer, by how long it has been asked for.

Kept by the fold, looked at by `doubt.py`. A stage has one length of time, so its orders are due in the order in which
they came to it: no timer an order, and all of it O(1). Invariant: an order is in at most one stage, the one that
`Order.wait_stage` says.
"""

from dataclasses import dataclass, field

from ems_service.core.order import NOT_WAITING, Order

BACKOFF = (1, 1, 2, 15)
"""How long each stage lasts, in answer times: the answer is awaited, then the broker is asked, asked again, and then
the request is in doubt. In the last stage the broker is asked again and again.
"""

IN_DOUBT = len(BACKOFF) - 1


def _stages() -> tuple[dict[str, int], ...]:
    return tuple({} for _ in BACKOFF)


@dataclass(slots=True)
class Waits:
    """What one broker owes: by stage, order_id and since when (EMS time), the longest first."""

    stages: tuple[dict[str, int], ...] = field(default_factory=_stages)

    def put(self, order: Order, stage: int, since_ns: int) -> None:
        """The order waits from now on in this stage, and in no other."""
        self.remove(order)
        order.wait_stage = stage
        self.stages[stage][order.order_id] = since_ns

    def remove(self, order: Order) -> None:
        """Nothing is owed for this order."""
        if order.wait_stage != NOT_WAITING:
            del self.stages[order.wait_stage][order.order_id]
            order.wait_stage = NOT_WAITING
