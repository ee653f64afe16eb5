"""Trading hours by symbol: when the market of the settings is open, whatever its feed says.

Owned by `venue.py`. Invariant: each turn is told once, at its own time, and the first one as soon as time begins.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from paper_broker.core.feed import SessionClosed, SessionOpened, SessionTurn
from paper_broker.core.instruments import DayEnd

NEVER = 2**63 - 1
"""A market time that does not come."""


@dataclass(frozen=True, slots=True)
class TradingHours:
    """Open from one time of day to another, every day, over midnight when `close` is the earlier one."""

    open: DayEnd
    close: DayEnd

    def is_open(self, now_ns: int) -> bool:
        """Whether it trades at `now_ns`, ns since 1970, UTC: what ends next is the session, not the pause."""
        return self.close.after(now_ns) < self.open.after(now_ns)

    def next_turn_ns(self, now_ns: int) -> int:
        """When it opens or closes next, later than `now_ns`."""
        return min(self.close.after(now_ns), self.open.after(now_ns))


class Sessions:
    """The turns of all symbols that have hours; the others trade always."""

    def __init__(self, hours: Mapping[str, TradingHours]) -> None:
        self._hours = hours
        self._next_ns = dict.fromkeys(hours, 0)
        self.next_turn_ns = 0 if hours else NEVER
        """When `turns` has something to say next."""

    def turns(self, now_ns: int) -> list[SessionTurn]:
        """What turned by `now_ns`."""
        turned: list[SessionTurn] = []
        for symbol, hours in self._hours.items():
            if self._next_ns[symbol] <= now_ns:
                turn = SessionOpened if hours.is_open(now_ns) else SessionClosed
                turned.append(turn(symbol, now_ns))
                self._next_ns[symbol] = hours.next_turn_ns(now_ns)
        self.next_turn_ns = min(self._next_ns.values(), default=NEVER)
        return turned
