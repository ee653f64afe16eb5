"""Bars of the past: what is told when the oldest trades have been dropped."""

import pytest

from paper_broker.core.feed import Printed, TradesMissed
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


def missed(history: History, since: int, until: int) -> None:
    history.miss(TradesMissed("X-USD", until * SECOND_NS, since * SECOND_NS))


def after_gap(history: History, interval_seconds: int, start: int = 0) -> dict[int, bool]:
    found = history.bars("X-USD", interval_seconds * SECOND_NS, start * SECOND_NS, 1_000 * SECOND_NS)
    return {bar.start_ns // SECOND_NS: bar.after_gap for bar in found}


def test_interval_of_which_trades_may_be_missing_is_not_told_and_the_next_is_after_a_gap() -> None:
    history = History()
    traded(history, 0, 12, 13)
    missed(history, 14, 35)
    traded(history, 35, 38, 41, 50)
    assert after_gap(history, 10) == {0: False, 40: True, 50: False}
    assert after_gap(history, 1) == {0: False, 12: False, 13: False, 38: True, 41: False, 50: False}
    assert after_gap(history, 30) == {}
    for start in (31, 40):
        assert after_gap(history, 10, start) == {40: True, 50: False}  # on a page of its own too
    assert after_gap(history, 10, start=41) == {50: False}


def test_second_that_was_known_is_not_once_trades_of_it_turn_out_to_be_missing() -> None:
    history = History()
    traded(history, 5, 12)
    missed(history, 12, 12)
    traded(history, 12, 20)
    assert after_gap(history, 10) == {0: False, 20: True}


def test_market_of_which_nothing_is_known_has_no_bars() -> None:
    history = History()
    missed(history, 3, 3)
    assert after_gap(history, 1) == {}
    traded(history, 10)
    assert after_gap(history, 10) == {10: True}


def test_first_bar_that_was_kept_is_after_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paper_broker.history.HISTORY_SECONDS_MAX", KEPT)
    history = History()
    traded(history, *range(31))
    assert after_gap(history, 10) == {20: True, 30: False}


def test_bars_begin_and_end_where_they_were_asked_for() -> None:
    history = History()
    traded(history, 3, 10, 12, 25, 30)
    assert starts(history, 10) == [0, 10, 20, 30]
    assert starts(history, 10, start=1) == [10, 20, 30]
    assert starts(history, 10, start=10, end=29) == [10]  # the next is not over
    assert starts(history, 10, start=31) == []
    assert starts(history, 10, end=0) == []
