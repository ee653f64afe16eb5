"""Trading hours by symbol: when the market of the settings is open, whatever its feed says.

Owned by `venue.py`. Invariant: each turn is told once, at its own time, and the first one as soon as time begins.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from paper_broker.core.feed import SessionClosed, SessionOpened, SessionTurn

NEVER = 2**63 - 1
"""A market time that does not come."""

EVERY_DAY = frozenset(range(7))
"""Weekdays, Monday is 0."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TradingHours:
    """A session on each of `days`, at least one, but not on a day that is `closed`.

    It opens and closes at times of day in `time_zone`, an IANA name, so it moves with the zone's clock; over midnight
    when `close` is the earlier one, and then it belongs to the day on which it opens. A time that the zone's clock
    skips is as much later; one that comes twice is the first.
    """

    open: time
    close: time
    time_zone: str = "UTC"
    days: frozenset[int] = EVERY_DAY
    closed: frozenset[date] = frozenset()

    def is_open(self, now_ns: int) -> bool:
        """Whether it trades at `now_ns`, ns since 1970, UTC."""
        opens_ns, _ = next(self._sessions_after(now_ns))
        return opens_ns <= now_ns

    def next_turn_ns(self, now_ns: int) -> int:
        """When it opens or closes next, later than `now_ns`."""
        opens_ns, closes_ns = next(self._sessions_after(now_ns))
        return closes_ns if opens_ns <= now_ns else opens_ns

    def _sessions_after(self, now_ns: int) -> Iterator[tuple[int, int]]:
        """From when to when each session lasts that is not over, in order; without an end, for the days are."""
        zone = ZoneInfo(self.time_zone)
        # From the day before: its session may reach over midnight.
        day = datetime.fromtimestamp(now_ns // 1_000_000_000, zone).date() - _DAY
        while True:
            last_day = day if self.open < self.close else day + _DAY
            closes_ns = _ns(last_day, self.close, zone)
            if day.weekday() in self.days and day not in self.closed and closes_ns > now_ns:
                yield _ns(day, self.open, zone), closes_ns
            day += _DAY


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


def _ns(day: date, at: time, zone: ZoneInfo) -> int:
    moment = datetime.combine(day, at, zone).astimezone(UTC)
    return int(moment.timestamp()) * 1_000_000_000
