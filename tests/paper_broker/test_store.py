"""A store that is left at any moment brings back everything that was committed, and nothing else."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st

from paper_broker.core import decide
from paper_broker.core.accounts import Account, FeeRates
from paper_broker.core.commands import Cancel, Command, Modify, Submit
from paper_broker.core.feed import Side, TopSet
from paper_broker.core.instruments import Listing
from paper_broker.core.orders import EndedOrder, Fate, OrdType, Reason, TimeInForce
from paper_broker.core.state import State
from paper_broker.gathering import Gathering
from paper_broker.store import Group, Store, StoreError, opened
from pitline_broker.journals import KnownJournal

LISTING = Listing("X-USD", "XUSD", "X", "USD", tick_size=Decimal("0.1"), lot_size=Decimal("0.5"))
RATES = FeeRates(maker=Decimal("0.001"), taker=Decimal("0.0015"))
NOW_NS = 1_700_049_600 * 1_000_000_000


class Desk:
    """State and store as the engine holds them; `commit` is one of its turns."""

    def __init__(self, store: Store) -> None:
        self.store = store
        for name in ("main", "alt"):
            store.open_account(name, "USD", {"USD": Decimal(1000)})
        standing = store.standing([LISTING])
        store.list_instruments([LISTING])
        accounts = {
            name: Account(name, kept.base_currency, RATES, kept.cash, kept.positions)
            for name, kept in standing.accounts.items()
        }
        self.journals = standing.journals
        self.state = State(accounts, [LISTING], standing.head_broker_seq, standing.orders, store.recall)
        self.gathering = Gathering(self.state, standing.listings, time.time_ns)

    def command(self, command: Command) -> None:
        self.gathering.apply(decide.answer(self.state, command, NOW_NS))

    def quotes(self, bid: tuple[int, int] | None, ask: tuple[int, int] | None) -> None:
        change = TopSet("X-USD", NOW_NS, bid, ask)
        self.state.feed(change)
        self.gathering.apply(decide.moved(self.state, change))

    def expire(self) -> None:
        self.gathering.apply(decide.expired(self.state, self.state.next_expiry_ns))

    def commit(self, keep: int = 0) -> None:
        self.store.commit(self.gathering.group)
        self.gathering.begin_next()
        self.state.forget_ended(keep)

    def everything(self) -> list[object]:
        """Whatever may be asked of a broker, but for what the market displays."""
        state = self.state
        book = [[order.order_ref for order in state.books["X-USD"].side(side).resting()] for side in Side]
        fates = [state.fate(f"O{number}") for number in range(40)]
        accounts = [(a.name, a.base_currency, a.cash, a.positions) for a in state.accounts.values()]
        events = self.store.events(0, state.head_broker_seq, 1_000)
        return deepcopy([state.head_broker_seq, book, fates, accounts, state.next_expiry_ns, events])


@contextmanager
def desk(folder: Path) -> Generator[Desk]:
    with opened(folder, "flush") as store:
        yield Desk(store)


def limit(ref: str, side: Side, qty: str, px: str, tif: TimeInForce = TimeInForce.GTC, account: str = "main") -> Submit:
    return Submit(
        ref,
        account,
        "X-USD",
        side,
        Decimal(qty),
        OrdType.LIMIT,
        Decimal(px),
        tif,
        expire_ns=NOW_NS + 1 if tif is TimeInForce.GTD else None,
        post_only=qty == "2.5",
    )


STEPS = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from(Side),
        st.sampled_from(("0.5", "1", "2.5", "0.7")),
        st.sampled_from(("10", "10.1", "10.2")),
        st.sampled_from(TimeInForce),
        st.sampled_from(("main", "alt")),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("modify"), st.integers(0, 9), st.sampled_from(("0.5", "3")), st.sampled_from(("10", "10.2"))),
    st.tuples(st.just("quotes"), st.integers(99, 103), st.integers(1, 4)),
    st.tuples(st.just("expire")),
    st.tuples(st.just("commit")),
    st.tuples(st.just("restart")),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_restart_at_any_point_brings_back_what_was_committed(steps: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as folder:
        committed: list[object] | None = None
        remaining = list(enumerate(steps))
        while True:
            with desk(Path(folder)) as at:
                if committed is not None:
                    assert at.everything() == committed
                committed = _until_restart(at, remaining)
            if not remaining:
                return


def _until_restart(at: Desk, remaining: list[tuple[int, tuple[object, ...]]]) -> list[object]:
    """Take steps up to a restart, which may lose some of them; what was committed last."""
    at.commit()
    committed = at.everything()
    while remaining:
        number, step = remaining.pop(0)
        match step:
            case ("order", Side() as side, str(qty), str(px), TimeInForce() as tif, str(account)):
                at.command(limit(f"O{number}", side, qty, px, tif, account))
            case ("cancel", int(which)):
                working = [*at.state.open, "O99"]
                at.command(Cancel(working[which % len(working)], "C"))
            case ("modify", int(which), str(qty), str(px)):
                working = [*at.state.open, "O99"]
                at.command(Modify(working[which % len(working)], f"M{number}", Decimal(qty), Decimal(px)))
            case ("quotes", int(ticks), int(lots)):
                at.quotes((ticks - 1, lots), (ticks, lots))
            case ("expire",):
                if at.state.open:
                    at.expire()
            case ("commit",):
                at.commit()
                committed = at.everything()
            case _:
                return committed
    return committed


def test_order_that_ended_after_it_was_stored_does_not_come_back(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.command(limit("O1", Side.BUY, "1", "10"))
        at.commit()
        at.command(Cancel("O1", "C"))
        at.commit()
    with desk(tmp_path) as at:
        assert at.state.open == {}
        assert at.state.fate("O1") == EndedOrder("O1", Fate.CANCELED, Reason.NONE, "", "P1", "0")


def test_orders_keep_their_place_in_the_queue(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.command(limit("Z", Side.BUY, "1", "10"))
        at.command(limit("A", Side.BUY, "1", "10"))
        at.commit()
    with desk(tmp_path) as at:
        at.quotes(None, (100, 2))
        assert list(at.state.open) == ["A"]


def test_store_is_made_once_and_keeps_its_id(tmp_path: Path) -> None:
    with desk(tmp_path / "a") as first:
        store_id = first.store.store_id
    with desk(tmp_path / "a") as again, desk(tmp_path / "b") as other:
        assert again.store.store_id == store_id
        assert other.store.store_id != store_id


def test_second_broker_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with desk(tmp_path), pytest.raises(StoreError, match="in use"), desk(tmp_path):
        pass
    with desk(tmp_path):
        pass


def test_store_of_another_format_is_refused(tmp_path: Path) -> None:
    with desk(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "paper.sqlite") as db:
        db.execute("UPDATE facts SET value = '99' WHERE name = 'format'")
    db.close()
    with pytest.raises(StoreError, match="format 99"), desk(tmp_path):
        pass


def test_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "paper.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="not a database"), desk(tmp_path):
        pass


def test_account_that_exists_keeps_its_cash(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.quotes(None, (100, 9))
        at.command(limit("O1", Side.BUY, "1", "10"))
        at.commit()
    with desk(tmp_path) as at:
        assert at.state.accounts["main"].cash == {"USD": Decimal(1000) - 10 - Decimal("0.015")}


def test_group_that_cannot_be_stored_leaves_nothing(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        ended = EndedOrder("O1", Fate.REJECTED, Reason.LOT_SIZE, "", "", "0")
        at.store.commit(Group(events=[(1, b"a")], ended={"O1": ended}))
        with pytest.raises(sqlite3.IntegrityError):
            at.store.commit(Group(events=[(2, b"b")], ended={"O1": ended}))
        assert at.store.events(0, 9, 9) == [(1, b"a")]
        at.store.commit(Group(events=[(2, b"b")], journals={("ems", "j"): KnownJournal(3, "s", 1)}))
    with desk(tmp_path) as at:
        assert at.journals == {("ems", "j"): KnownJournal(3, "s", 1)}
        assert at.state.head_broker_seq == 2


def test_trimmed_events_are_gone_and_the_head_stays(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.store.commit(Group(events=[(seq, b"") for seq in (1, 2, 3)]))
        at.store.commit(Group(trim_to=3))
        assert at.store.events(0, 9, 9) == []
    with desk(tmp_path) as at:
        assert at.state.head_broker_seq == 3


def test_order_and_position_in_what_is_listed_no_longer_can_be_seen_and_canceled(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.quotes(None, (100, 1))
        at.command(limit("O1", Side.BUY, "1", "10"))
        at.commit()
    with opened(tmp_path, "flush") as store:
        standing = store.standing([])
        assert standing.accounts["main"].positions["X-USD"].lots == 1
        accounts = {name: Account(name, "USD", RATES, kept.cash) for name, kept in standing.accounts.items()}
        state = State(accounts, [], standing.head_broker_seq, standing.orders, store.recall)
        gathering = Gathering(state, standing.listings, time.time_ns)
        gathering.apply(decide.answer(state, Cancel("O1", "C"), NOW_NS))
        store.commit(gathering.group)
        assert store.recall("O1") == EndedOrder("O1", Fate.CANCELED, Reason.NONE, "", "P1", "0.5")


def test_modified_order_has_its_place_and_its_requests_after_a_restart(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.command(limit("O1", Side.BUY, "1", "10"))
        at.command(limit("O2", Side.BUY, "1", "10"))
        at.command(Modify("O1", "M1", Decimal(2), None))
        at.command(Modify("O1", "M2", Decimal("1.5"), None))
        at.commit()
    with desk(tmp_path) as at:
        assert [order.order_ref for order in at.state.books["X-USD"].side(Side.BUY).resting()] == ["O2", "O1"]
        at.command(Modify("O1", "M1", Decimal(2), None))
        working = at.state.open["O1"]
        assert (working.order_lots, working.modified_refs) == (3, {"M1", "M2"})


def test_position_between_two_lots_of_a_changed_instrument_is_refused(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        at.quotes(None, (100, 9))
        at.command(limit("O1", Side.BUY, "0.5", "10"))
        at.commit()
        with pytest.raises(StoreError, match=r"0\.5 is not a multiple of the lot 1"):
            at.store.standing([replace(LISTING, lot_size=Decimal(1))])
