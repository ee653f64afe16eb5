"""Settings of a market: a table in the paper broker's configuration."""

from typing import Annotated, Literal

from pydantic import Field

from pitline_rpc.config import Section

Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["max"]
"""Seconds of market time in one second of wall time; "max": as quickly as the broker takes what happens."""


class MarketSettings(Section):
    """How a market is played. What a market has no use for is ignored by it."""

    speed: Speed = 1.0
    """Of a recording or a seeded market; a script has the speed of who steps it."""

    seed: int = 1
    """Of a seeded market: same seed, same market."""

    symbols: tuple[str, ...] = ()
    """Of a seeded or a remote market: which of its symbols. Of a script: its symbols, as BASE-QUOTE. Empty: all, or
    the default ones. A recording has its own."""

    loop: bool = False
    """A recording begins again after its end, at a later market time; otherwise the market halts there."""
