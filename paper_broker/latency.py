"""How long requests and fills are under way: fixed, or drawn from a seed.

Asked by `core/venue.py`. Invariant: what is drawn depends on the seed and on what it is drawn for, not on what else
happens; so the same order meets the same delays in every run with the same seed, also after a restart.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Span:
    """Delays from `least_ns` to `most_ns`, both possible, uniformly; 0 <= least_ns <= most_ns."""

    least_ns: int = 0
    most_ns: int = 0


@dataclass(frozen=True, slots=True)
class Latency:
    """Delays on the market clock. `change` is for cancels and modifies."""

    submit: Span = Span()
    change: Span = Span()
    fill: Span = Span()
    seed: int = 1

    @property
    def fills_wait(self) -> bool:
        """Whether any fill is delayed."""
        return self.fill.most_ns > 0

    def of_submit(self, order_ref: str) -> int:
        """The delay of a new order, ns."""
        return self._draw(self.submit, "submit", order_ref)

    def of_change(self, order_ref: str, request_ref: str) -> int:
        """The delay of a cancel or a modify, ns."""
        return self._draw(self.change, "change", order_ref, request_ref)

    def of_fill(self, order_ref: str, matched_lots: int) -> int:
        """The delay of what is matched after so many lots of the order, ns."""
        return self._draw(self.fill, "fill", order_ref, str(matched_lots))

    def _draw(self, span: Span, *what: str) -> int:
        if span.least_ns == span.most_ns:
            return span.least_ns
        # Seeded with text, which Random digests with SHA-512: unlike hash(), the same in every process.
        return Random(" ".join((str(self.seed), *what))).randint(span.least_ns, span.most_ns)


NONE = Latency()
"""Everything happens at once."""
