"""Two real recordings, whole, against the plainest reading of the same lines: two dicts and the last best prices."""

import gzip
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from paper_broker.core.feed import Halted, Printed
from paper_broker.core.instruments import Listing
from paper_broker.market.replay import changes, look
from support.captures import real_recording
from support.displayed import Displayed

Fixed = tuple[int, int]
"""(price, size), both in units of 10**-8."""


def fixed(text: str) -> int:
    whole, decimals = text.split(".")
    assert len(decimals) == 8
    return int(whole + decimals)


class PlainReading:
    """What a recording displays, by the letter: levels as last told, best prices from the one with the later id."""

    def __init__(self) -> None:
        self.update_id = 0
        self._early: list[Any] = []
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._ticker: Any = {"u": 0}

    def read(self, message: Any) -> None:
        if "lastUpdateId" in message:
            assert not self.update_id, "the real recordings have one snapshot each"
            self.update_id = message["lastUpdateId"]
            self._set(message["bids"], message["asks"])
            for update in self._early:
                self._update(update)
        elif "depth" in message["stream"]:
            if self.update_id:
                self._update(message["data"])
            else:
                self._early.append(message["data"])
        elif "bookTicker" in message["stream"]:
            self._ticker = message["data"]

    def top(self) -> tuple[Fixed, Fixed]:
        """((bid, size), (ask, size))."""
        ticker = self._ticker
        if ticker["u"] > self.update_id:
            return (fixed(ticker["b"]), fixed(ticker["B"])), (fixed(ticker["a"]), fixed(ticker["A"]))
        return self._best_levels

    @cached_property
    def _best_levels(self) -> tuple[Fixed, Fixed]:
        bid, ask = max(self._bids), min(self._asks)
        return (bid, self._bids[bid]), (ask, self._asks[ask])

    def _update(self, update: Any) -> None:
        if update["u"] > self.update_id:
            assert update["U"] <= self.update_id + 1, "the real recordings have no gap"
            self.update_id = update["u"]
            self._set(update["b"], update["a"])

    def _set(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        self.__dict__.pop("_best_levels", None)
        for levels, told in ((self._bids, bids), (self._asks, asks)):
            for px, qty in told:
                levels[fixed(px)] = fixed(qty)
                if not fixed(qty):
                    del levels[fixed(px)]


def tops_displayed(path: Path, listing: Listing) -> Iterator[tuple[int, object]]:
    """(time in ns, best levels) whenever the replayed market changes its book, until it halts."""
    tick, lot = (int(step * 10**8) for step in (listing.tick_size, listing.lot_size))
    displayed, change = Displayed(), None
    for change in changes(look(path)):
        if isinstance(change, Printed):
            continue
        displayed.apply(change)
        bid, ask = displayed.bid, displayed.ask
        assert bid is not None
        assert ask is not None
        assert bid[0] < ask[0]
        yield change.market_time_ns, ((bid[0] * tick, bid[1] * lot), (ask[0] * tick, ask[1] * lot))
    assert isinstance(change, Halted)


@pytest.mark.parametrize("name", ["btcusdt_20240808.gz", "ethusdt_20240808.gz"])
def test_after_each_line_the_best_levels_are_those_of_a_plain_reading(name: str) -> None:
    path = real_recording(name)
    replayed = tops_displayed(path, look(path).listing)
    plain, compared = PlainReading(), 0
    told_ns, told = next(replayed)
    now: object = None
    with gzip.open(path, "rt") as lines:
        for line in lines:
            time, _, text = line.partition(" ")
            if "@trade" in text:
                continue  # a trade displays nothing
            plain.read(json.loads(text))
            while told_ns <= int(time):
                now = told
                told_ns, told = next(replayed, (2**63, None))
            if plain.update_id:
                assert now == plain.top(), line[:200]
                compared += 1
    assert told_ns == 2**63
    assert compared > 25_000
