"""Rules of the paper market that its settings choose: each is off unless it was asked for.

Made by `app.py`, asked by the core.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """How orders fill, and what they must be covered by."""

    fill_at_market: bool = False
    """A resting order fills at the price to which the market came, not at its own limit."""
    queue_position: bool = False
    """A resting order also fills by trades AT its limit, once what was displayed before it there has traded."""
    cash_only: bool = False
    """What is bought is covered by cash, what is sold by the position."""


NEUTRAL = Rules()
"""Nothing was asked for."""
