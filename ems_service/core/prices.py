"""What a market tells: prices, and whether they can be believed. Inputs like those of clients and brokers."""

from dataclasses import dataclass
from decimal import Decimal

from ems_service.core.cause import Cause
from ems_service.core.values import FeedState


@dataclass(slots=True)
class Ticked:
    """The market of an instrument moved. With `last` alone: a trade. Otherwise a quote, `bid` or `ask` None where
    nobody bids or offers, and the last trade beside it if it is new. `market_time_ns` is the market's.
    """

    cause: Cause
    broker: str
    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    market_time_ns: int
    snapshot: bool = False
    """How the market stood when somebody began to look: a trade may be long past, and fires nothing."""
    bid_qty: Decimal | None = None
    """Displayed at the bid, None where that is not told; `ask_qty` at the ask."""
    ask_qty: Decimal | None = None

    @property
    def crossed(self) -> bool:
        """The bid is above the ask: one of them is wrong."""
        return self.bid is not None and self.ask is not None and self.bid > self.ask


@dataclass(slots=True)
class FeedChanged:
    """The prices of an instrument can be believed from now on, or no longer. Not `lasting`: they have come and gone
    lately, and whoever was told that they are gone is told of their return when it has lasted.
    """

    cause: Cause
    broker: str
    symbol: str
    state: FeedState
    lasting: bool = True
