"""Where a stream stands: what is new, what to resume after, when it has caught up."""

from pitline.ems.v1 import event_pb2 as e
from pitline.ems.v1.event_pb2 import Event, Opened
from pitline_client import ResumeToken
from pitline_client.intake import Intake


def journaled(*seqs: int) -> list[Event]:
    return [Event(seq=seq) for seq in seqs]


def opened(mode: Opened.Mode.ValueType, head_seq: int, journal_id: str = "j") -> Event:
    return Event(opened=Opened(journal_id=journal_id, head_seq=head_seq, mode=mode))


COMPLETE = e.SnapshotComplete


def test_events_taken_before_are_not_taken_again() -> None:
    intake = Intake(ResumeToken("j", 5))
    intake.take([opened(Opened.MODE_RESUMED, 9)], 0)
    assert [event.seq for event in intake.take(journaled(4, 5, 6, 8), 0)] == [6, 8]
    intake.reopen()
    intake.take([opened(Opened.MODE_RESUMED, 9)], 0)
    assert [event.seq for event in intake.take(journaled(6, 8, 9), 0)] == [9]
    assert intake.token == ResumeToken("j", 9)


def test_resumed_stream_has_caught_up_at_the_head_it_named() -> None:
    intake = Intake(ResumeToken("j", 5))
    intake.take([opened(Opened.MODE_RESUMED, 9)], 0)
    intake.take(journaled(7), 0)
    assert not intake.caught_up
    intake.take([], 9)  # 8 and 9 are none of this client's business
    assert intake.caught_up
    assert intake.token == ResumeToken("j", 9)


def test_resumed_stream_with_nothing_missed_has_caught_up_at_once() -> None:
    intake = Intake(ResumeToken("j", 9))
    intake.take([opened(Opened.MODE_RESUMED, 9)], 0)
    assert intake.caught_up


def test_token_stays_the_old_one_in_the_middle_of_a_snapshot() -> None:
    intake = Intake(None)
    intake.take([opened(Opened.MODE_SNAPSHOT, 9)], 9)
    assert (intake.token, intake.caught_up) == (None, False)
    intake.take([Event(snapshot_complete=COMPLETE(seq=9))], 9)
    assert (intake.token, intake.caught_up) == (ResumeToken("j", 9), True)


def test_snapshot_of_a_younger_journal_takes_the_seq_back() -> None:
    intake = Intake(ResumeToken("old", 500))
    intake.take([opened(Opened.MODE_SNAPSHOT, 3, "new")], 3)
    assert intake.journal_changed
    assert intake.token == ResumeToken("old", 500)
    intake.take([Event(snapshot_complete=COMPLETE(seq=3)), *journaled(4)], 4)
    assert intake.token == ResumeToken("new", 4)
    intake.reopen()
    assert not intake.journal_changed


def test_rights_that_change_bring_a_snapshot_in_the_middle() -> None:
    intake = Intake(None)
    intake.take([opened(Opened.MODE_SNAPSHOT, 9), Event(snapshot_complete=COMPLETE(seq=9))], 9)
    taken = intake.take([Event(view_changed=e.ViewChanged()), Event(snapshot_complete=COMPLETE(seq=12))], 12)
    assert len(taken) == 2
    assert (intake.token, intake.caught_up) == (ResumeToken("j", 12), True)


def test_heartbeats_are_nobodys_business() -> None:
    assert Intake(None).take([Event(heartbeat=e.Heartbeat()), Event(lag=e.Lag())], 0) == [Event(lag=e.Lag())]
