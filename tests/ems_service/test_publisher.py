"""Who is shown what, and that nobody misses an event or gets it twice."""

import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ems_service.convert.record import Record
from ems_service.journal import Journal
from ems_service.limits import REPLAY_BYTES_MAX
from ems_service.publisher import Publisher, View
from support.ems_records import record, seqs

OWN = View("local", "alice")
WATCHER = View("local", "", frozenset())
HALF_A_PART = "x" * (REPLAY_BYTES_MAX * 6 // 10)


class Taker:
    """A stream that takes events; `on_put` is what its queue does when one comes."""

    def __init__(self, view: View = WATCHER, on_put: Callable[[], None] = lambda: None) -> None:
        self.view = view
        self.took: list[int] = []
        self._on_put = on_put

    def put(self, framed: bytes) -> None:
        self.took += seqs(framed)
        self._on_put()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    """An empty one."""
    with closing(Journal(tmp_path, "flush")) as journal:
        yield journal


@pytest.fixture
def publisher(journal: Journal) -> Publisher:
    """Of an empty journal."""
    return Publisher(journal, 0)


MINE = record(1, "alice", "paper.main", "X-USD")
BOBS = record(1, "bob", "paper.main", "X-USD")
MINE_ELSEWHERE = record(1, "alice", "paper.alt", "Y-USD")
OF_ANOTHER_PRINCIPAL = record(1, "alice", "paper.main", "X-USD", principal="other")
POSITION = record(1, "", "paper.main", "X-USD", principal="")
CASH = record(1, "", "paper.main", "", principal="")
BROKER = record(1, "", "", "", principal="")
PRIVATE = record(1, "", "", "", private=b"secret")
PRIVATE_OF_MINE = record(1, "alice", "paper.main", "X-USD", private=b"secret")

ALL_ACCOUNTS: frozenset[str] = frozenset()
MAIN, ALT = frozenset({"paper.main"}), frozenset({"paper.alt"})


@pytest.mark.parametrize(
    ("view", "shown", "hidden"),
    [
        (
            OWN,
            [MINE, MINE_ELSEWHERE, POSITION, CASH, BROKER],
            [BOBS, OF_ANOTHER_PRINCIPAL, PRIVATE, PRIVATE_OF_MINE],
        ),
        # Somebody else under the same client id is somebody else.
        (replace(OWN, principal="other"), [OF_ANOTHER_PRINCIPAL, POSITION], [MINE, BOBS]),
        # All accounts, or those that were asked for.
        (
            replace(OWN, accounts=ALL_ACCOUNTS),
            [MINE, BOBS, MINE_ELSEWHERE, POSITION, CASH, BROKER],
            [PRIVATE, PRIVATE_OF_MINE],
        ),
        (replace(OWN, accounts=MAIN), [MINE, BOBS, POSITION, CASH, BROKER], [MINE_ELSEWHERE]),
        (replace(OWN, accounts=ALT), [MINE_ELSEWHERE, POSITION, BROKER], [MINE, BOBS]),
        # Filters: events of no symbol, and of no owner, pass.
        (replace(OWN, symbols=frozenset({"X-USD"})), [MINE, POSITION, CASH, BROKER], [MINE_ELSEWHERE, BOBS]),
        (replace(OWN, symbols=frozenset({"Y-USD"})), [MINE_ELSEWHERE, CASH, BROKER], [MINE, POSITION]),
        (replace(OWN, symbols=frozenset({"X-USD", "Y-USD"})), [MINE, MINE_ELSEWHERE, POSITION], [BOBS]),
        (replace(WATCHER, client_ids=frozenset({"bob"})), [BOBS, POSITION, CASH, BROKER], [MINE, MINE_ELSEWHERE]),
        (replace(WATCHER, client_ids=frozenset({"alice", "bob"})), [MINE, BOBS], [PRIVATE]),
        (replace(OWN, client_ids=frozenset({"bob"})), [POSITION], [MINE, BOBS]),
        (
            replace(WATCHER, accounts=MAIN, symbols=frozenset({"X-USD"}), client_ids=frozenset({"alice"})),
            [MINE, POSITION, CASH, BROKER],
            [BOBS, MINE_ELSEWHERE],
        ),
    ],
)
def test_a_view_shows_what_it_was_asked_for(view: View, shown: list[Record], hidden: list[Record]) -> None:
    assert [view.shows(each) for each in shown] == [True] * len(shown)
    assert [view.shows(each) for each in hidden] == [False] * len(hidden)


# Live.


def test_a_subscriber_gets_what_it_may_see_once_and_in_order(publisher: Publisher) -> None:
    mine, all_of_it = Taker(OWN), Taker(WATCHER)
    publisher.subscribe(mine, 0)
    publisher.subscribe(all_of_it, 0)
    publisher.publish([record(1, "alice"), record(2, "bob"), record(3, "")])
    publisher.publish([record(4, private=b"secret"), record(5, "alice")])
    assert (mine.took, all_of_it.took) == ([1, 3, 5], [1, 2, 3, 5])


def test_a_subscriber_gets_the_bytes_that_were_stored(publisher: Publisher) -> None:
    took: list[bytes] = []

    class Raw:
        view = WATCHER

        def put(self, framed: bytes) -> None:
            took.append(framed)

    publisher.subscribe(Raw(), 0)
    stored = record(1, text="as it was")
    publisher.publish([stored])
    assert took[0] is stored.public


@pytest.mark.parametrize("after_seq", [0, 1, 2, 3])
def test_a_subscriber_gets_nothing_of_before_its_seq(publisher: Publisher, after_seq: int) -> None:
    taker = Taker()
    publisher.subscribe(taker, after_seq)
    publisher.publish([record(1), record(2), record(3)])
    assert taker.took == [1, 2, 3][after_seq:]


def test_who_has_unsubscribed_gets_nothing(publisher: Publisher) -> None:
    gone, stays = Taker(), Taker()
    publisher.subscribe(gone, 0)
    publisher.subscribe(stays, 0)
    publisher.publish([record(1)])
    publisher.unsubscribe(gone)
    publisher.unsubscribe(gone)
    publisher.publish([record(2)])
    assert (gone.took, stays.took) == ([1], [1, 2])


def test_the_head_is_the_last_seq_published_seen_or_not(publisher: Publisher) -> None:
    assert publisher.head_seq == 0
    publisher.publish([record(1), record(2, private=b"secret")])
    assert publisher.head_seq == 2
    publisher.publish([])
    assert publisher.head_seq == 2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_subscriber_that_is_cut_off_while_it_takes_an_event_costs_nobody_else_any(
    publisher: Publisher, place: int
) -> None:
    # A client's queue that is full unsubscribes its stream from within `put`.
    takers = [Taker(), Taker()]
    slow = Taker(on_put=lambda: publisher.unsubscribe(slow))
    for taker in [*takers[:place], slow, *takers[place:]]:
        publisher.subscribe(taker, 0)
    publisher.publish([record(1), record(2)])
    publisher.publish([record(3)])
    assert [taker.took for taker in takers] == [[1, 2, 3], [1, 2, 3]]
    assert slow.took[0] == 1
    assert 3 not in slow.took
    assert publisher.head_seq == 3


# Caught up from the journal, then live.


async def test_what_was_missed_is_read_and_the_rest_follows(journal: Journal, publisher: Publisher) -> None:
    for seq in (1, 3, 5):
        await _append(journal, publisher, [record(seq, "alice"), record(seq + 1, "bob")])
    mine = Taker(OWN)
    parts = [part async for part in publisher.missed(mine, 1)]
    assert [(seqs(b"".join(framed)), after_seq) for framed, after_seq in parts] == [([3, 5], 6)]
    await _append(journal, publisher, [record(7, "alice")])
    assert mine.took == [7]


async def test_who_has_missed_nothing_is_live_at_once(journal: Journal, publisher: Publisher) -> None:
    taker = Taker()
    assert [part async for part in publisher.missed(taker, 0)] == []
    await _append(journal, publisher, [record(1)])
    assert taker.took == [1]


async def test_a_part_that_shows_nothing_still_says_how_far_it_is(journal: Journal, publisher: Publisher) -> None:
    await _append(journal, publisher, [record(1, "bob"), record(2, private=b"secret")])
    assert [part async for part in publisher.missed(Taker(OWN), 0)] == [([], 2)]


@pytest.mark.parametrize("busy", list(itertools.product([False, True], repeat=3)))
async def test_events_that_happen_during_a_catch_up_come_once_and_in_order(
    journal: Journal, publisher: Publisher, busy: tuple[bool, ...]
) -> None:
    next_seq = itertools.count(1)
    for _ in range(4):  # two parts
        await _append(journal, publisher, [record(next(next_seq), text=HALF_A_PART)])
    taker = Taker()
    got: list[int] = []
    missed = publisher.missed(taker, 0)
    for happens in (*busy, *(False,) * 9):
        part = await anext(missed, None)
        if part is None:
            break
        got += seqs(b"".join(part[0]))
        assert not taker.took, "still catching up"
        if happens:
            await _append(journal, publisher, [record(next(next_seq)), record(next(next_seq))])
    await _append(journal, publisher, [record(next(next_seq))])
    assert got + taker.took == list(range(1, next(next_seq)))


async def test_a_group_that_is_committed_and_not_yet_published_comes_once(
    journal: Journal, publisher: Publisher
) -> None:
    group = [record(1), record(2)]
    await journal.append(group)  # the engine is about to publish it
    taker = Taker()
    got = [seq for framed, _ in [part async for part in publisher.missed(taker, 0)] for seq in seqs(b"".join(framed))]
    publisher.publish(group)
    await _append(journal, publisher, [record(3)])
    assert got + taker.took == [1, 2, 3]


async def test_a_catch_up_of_many_is_read_in_parts(journal: Journal, publisher: Publisher) -> None:
    for seq in range(1, 6):
        await _append(journal, publisher, [record(seq, text=HALF_A_PART)])
    parts = [after_seq async for _, after_seq in publisher.missed(Taker(), 0)]
    assert parts == [2, 4, 5]


async def _append(journal: Journal, publisher: Publisher, group: list[Record]) -> None:
    """What the engine does with a group."""
    await journal.append(group)
    publisher.publish(group)
