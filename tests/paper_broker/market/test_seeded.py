"""The random market: the same for the same seed, and at every moment one that could be."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given, strategies as st

from paper_broker.core.feed import BookSet, LevelsSet, MarketChange, Printed, Side
from paper_broker.market import open_market
from paper_broker.market.errors import MarketError
from paper_broker.market.seeded import CHARACTERS, LEVELS, generate
from paper_broker.market.settings import MarketSettings
from support.displayed import Displayed

SECOND_NS = 1_000_000_000
DIGEST = f"""
import hashlib
from itertools import islice
from {generate.__module__} import CHARACTERS, generate
print(hashlib.sha256(repr(list(islice(generate(7, CHARACTERS), 3000))).encode()).hexdigest())
"""


def first(count: int, seed: int) -> list[MarketChange]:
    return list(islice(generate(seed, CHARACTERS), count))


@given(seed=st.integers(0, 2**64))
def test_any_seed_gives_ten_levels_a_side_never_crossed_and_trades_that_take_what_is_displayed(seed: int) -> None:
    books = {each.listing.symbol: Displayed() for each in CHARACTERS}
    last_ns = 0
    changes = generate(seed, CHARACTERS)
    for change in islice(changes, 400):
        book = books[change.symbol]
        assert change.market_time_ns >= last_ns
        last_ns = change.market_time_ns
        if isinstance(change, Printed):
            best = book.ask if change.aggressor is Side.BUY else book.bid
            assert best is not None
            assert change.price_ticks == best[0]
            assert 0 < change.qty_lots <= best[1]
            following = next(changes)
            assert isinstance(following, LevelsSet)
            assert following.symbol == change.symbol
            assert following.levels[0][1:] == (change.price_ticks, best[1] - change.qty_lots)
            change = following  # a trade and what it takes belong together
        book.apply(change)
        assert not book.crossed_or_locked
        assert len(book.bids) == len(book.asks) == LEVELS
        assert min(*book.bids, *book.asks) > 0
        assert min(*book.bids.values(), *book.asks.values()) > 0


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    assert first(3000, seed=7) == first(3000, seed=7)
    assert first(3000, seed=7) != first(3000, seed=8)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_the_same_seed_gives_the_same_market_in_another_process(hash_seed: str) -> None:
    here = hashlib.sha256(repr(first(3000, seed=7)).encode()).hexdigest()
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    there = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_a_symbol_does_the_same_whatever_is_traded_beside_it() -> None:
    symbol = CHARACTERS[1].listing.symbol
    beside_others = [change for change in first(4000, seed=3) if change.symbol == symbol]
    alone = list(islice(generate(3, [CHARACTERS[1]]), len(beside_others)))
    assert alone == beside_others


def test_two_symbols_of_one_character_move_each_in_its_own_way() -> None:
    one = CHARACTERS[0]
    other = replace(one, listing=replace(one.listing, symbol="OTHER-USDT"))
    moved: dict[str, set[int]] = {one.listing.symbol: set(), "OTHER-USDT": set()}
    for change in islice(generate(3, [one, other]), 1000):
        moved[change.symbol].add(change.market_time_ns)
    assert moved[one.listing.symbol] & moved["OTHER-USDT"] == {0}


def test_each_symbol_starts_with_a_book_and_then_moves_10_to_20_times_a_second() -> None:
    changes = first(20_000, seed=1)
    assert all(isinstance(change, BookSet) and change.market_time_ns == 0 for change in changes[: len(CHARACTERS)])
    seconds = changes[-1].market_time_ns / SECOND_NS
    for character in CHARACTERS:
        own = [c for c in changes if c.symbol == character.listing.symbol]
        assert 10 < len({c.market_time_ns for c in own}) / seconds < 20
        assert 2 < sum(isinstance(c, Printed) for c in own) / seconds < 5


def test_the_price_moves_and_comes_back() -> None:
    character = CHARACTERS[0]
    prices = [c.price_ticks for c in islice(generate(7, [character]), 40_000) if isinstance(c, Printed)]
    gaps = [price / character.gap_ticks - character.start_gaps for price in prices]
    assert min(gaps) < -20
    assert max(gaps) > 20
    # Without the pull this seed goes 126 gaps away.
    assert max(map(abs, gaps)) < 60


def test_settings_choose_the_symbols() -> None:
    assert [each.symbol for each in open_market("seeded", MarketSettings(symbols=("AAPL",))).instruments] == ["AAPL"]
    assert len(open_market("seeded", MarketSettings()).instruments) == len(CHARACTERS)


@pytest.mark.parametrize("spec", ["seeded:1", "script:x", "replay", "replay:", "live", ""])
def test_an_unknown_market_is_refused_with_what_would_do(spec: str) -> None:
    with pytest.raises(MarketError, match="seeded, script, replay:PATH"):
        open_market(spec, MarketSettings())


def test_a_symbol_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(MarketError, match="'MSFT' is not on the seeded market: AAPL, BTC-USDT, ETH-USDT, EUR-USD"):
        open_market("seeded", MarketSettings(symbols=("AAPL", "MSFT")))
