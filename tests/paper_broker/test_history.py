"""Bars of the past: what is told when the oldest trades have been dropped."""

import pytest

from paper_broker.core.feed import Printed
from paper_broker.history import SECOND_NS, History

KEPT = 15


def traded(history: History, *seconds: int) -> None:
    for second in seconds:
        history.add(Printed("X-USD", second * SECOND_NS, price_ticks=100, qty_lots=1, aggressor=None, trade_id=""))


def starts(history: History, interval_seconds: int, start: int = 0, end: int = 1_000) -> list[int]:
    found = history.bars("X-USD", interval_seconds * SECOND_NS, start * SECOND_NS, end * SECOND_NS)
    return [bar.start_ns // SECOND_NS for bar in found]


def test_interval_whose_first_trades_were_dropped_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paper_broker.history.HISTORY_SECONDS_MAX", KEPT)
    history = History()
    traded(history, *range(KEPT - 1))
    assert starts(history, 10) == [0, 10]
    traded(history, *range(KEPT - 1, 31))  # 16 to 30 are left
    assert starts(history, 10) == [20, 30]
    assert starts(history, 1) == list(range(16, 31))


def test_bars_begin_and_end_where_they_were_asked_for() -> None:
    history = History()
    traded(history, 3, 10, 12, 25, 30)
    assert starts(history, 10) == [0, 10, 20, 30]
    assert starts(history, 10, start=1) == [10, 20, 30]
    assert starts(history, 10, start=10, end=29) == [10]  # the next is not over
    assert starts(history, 10, start=31) == []
    assert starts(history, 10, end=0) == []
