"""Streams that are lost at chosen moments: every event once, every command carried out once."""

from collections.abc import Sequence

import pytest

from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.types.v1.order_pb2 import ORDER_STATUS_FILLED
from pitline_client import (
    FOK,
    NotSentError,
    ResumeToken,
    SlowConsumerError,
    SupersededError,
    UnansweredError,
    UnreachableError,
    attendance,
    connect,
    events as events_module,
    of_accounts,
    outbox,
)
from support.fake_ems import FakeEms, Loss
from support.services import InProcess


def seqs(events: Sequence[Event]) -> list[int]:
    return [event.seq for event in events if event.seq]


@pytest.mark.parametrize("loss", Loss)
async def test_submit_without_an_answer_is_sent_again_and_done_once(ems: FakeEms, loss: Loss) -> None:
    ems.losses.append(loss)
    async with connect(ems.address, "me") as client:
        events = client.events()
        order = client.buy("BTC-USDT", 1, account="paper.main", client_order_id="mine")
        assert (await order.filled()).cum_qty == 1
        client.buy("BTC-USDT", 2, account="paper.main")
    seen = [event async for event in events]
    assert seqs(seen) == seqs(ems.journal)
    submits = [command.submit for command in ems.received_kinds("submit")]
    assert {submit.client_order_id for submit in submits[:-1]} == {"mine"}
    # Acted upon, the events say so after the resume and nothing is sent again.
    assert len(submits) == (3 if loss is Loss.BEFORE_ACTING else 2)
    assert len(ems.rules.orders) == 2


@pytest.mark.parametrize("loss", Loss)
async def test_cancel_without_an_answer_is_sent_again(ems: FakeEms, loss: Loss) -> None:
    async with connect(ems.address, "me") as client:
        order = client.buy("BTC-USDT", 1, account="paper.main", limit_px=90)
        await order.acked()
        ems.losses.append(loss)
        order.cancel()
        await order.canceled()
    assert [event.WhichOneof("change") for event in ems.journal].count("order_canceled") == 1


@pytest.mark.parametrize("loss", Loss)
async def test_batch_is_cut_in_its_middle_and_nothing_is_lost(ems: FakeEms, loss: Loss) -> None:
    async with connect(ems.address, "me") as client:
        await client.buy("BTC-USDT", 1, account="paper.main").filled()
        # The batch's first order meets the loss; the fake reads no further on that stream.
        ems.losses.append(loss)
        orders = [client.buy("BTC-USDT", 1, account="paper.main") for _ in range(50)]
        for order in orders:
            await order.filled()
    assert len(ems.rules.orders) == 51
    assert client.positions["paper.main", "BTC-USDT"].signed_qty == 51


async def test_stream_is_lost_after_every_message_and_each_event_comes_once(ems: FakeEms) -> None:
    ems.events_per_message_max = 3
    async with connect(ems.address, "me") as client:
        events, seen = client.events(), list[Event]()
        for number in range(1, 6):
            ems.lost_after_messages = 2
            client.buy("BTC-USDT", 1, account="paper.main", client_order_id=f"order-{number}")
            # Four events an order, the last one its position.
            while not seen or seen[-1].seq < 4 * number:
                seen.append(await anext(events))
    assert seqs(seen) == seqs(ems.journal) == list(range(1, 21))
    assert len(ems.opens) > 3
    assert all(opening.resume_after_seq for opening in ems.opens[1:])


async def test_snapshot_that_breaks_off_is_taken_again(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        await client.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="a").acked()
        await client.buy("BTC-USDT", 1, account="paper.main", limit_px=91, client_order_id="b").acked()
    ems.lost_in_snapshot = 2
    async with connect(ems.address, "me") as client:
        assert sorted(order.client_order_id for order in client.orders.values()) == ["a", "b"]
    # A part of a snapshot is nothing to resume from.
    assert [opening.journal_id for opening in ems.opens[-3:]] == ["", "", ""]


async def test_snapshot_instead_of_a_resume_replaces_the_state(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        stays = client.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="stays")
        goes = client.buy("BTC-USDT", 1, account="paper.main", limit_px=91, client_order_id="goes")
        await goes.acked()
        waiting = client.events()
        ems.lose_streams()
        ems.retention_after_seq = ems.head_seq + 1
        ems.rules.fill("goes", "1")
        # Not in the snapshot any more: the client asks what became of it.
        assert (await goes.filled()).status == ORDER_STATUS_FILLED
        ems.rules.fill("stays", "1")
        await stays.filled()
    modes = [e.opened.mode async for e in waiting if e.HasField("opened")]
    assert modes == [Opened.MODE_SNAPSHOT, Opened.MODE_SNAPSHOT]


async def test_state_is_replaced_only_by_a_whole_snapshot(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        await client.buy("BTC-USDT", 1, account="paper.main").filled()
        ems.retention_after_seq = ems.head_seq + 1
        ems.lost_in_snapshot = 1
        ems.lose_streams()
        await ems.changes.until(lambda: True if len(ems.opens) == 3 else None, "a third open")
        await client.buy("BTC-USDT", 1, account="paper.main").filled()
        assert client.positions["paper.main", "BTC-USDT"].signed_qty == 2


async def test_who_comes_back_with_a_token_gets_what_it_missed(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client:
        await client.buy("BTC-USDT", 3, account="paper.main", limit_px=90, client_order_id="open").acked()
    token = client.resume_token
    assert token is not None
    ems.rules.fill("open", "1", "90")
    ems.rules.fill("open", "1", "89")
    async with connect(ems.address, "me", resume=token) as client:
        events = client.events()
        order = client.order("open")
        assert order.order is not None
        assert (order.order.limit_px, order.order.cum_qty) == (90, 2)
        assert client.positions["paper.main", "BTC-USDT"].signed_qty == 2
    missed = [event async for event in events]
    assert [event.WhichOneof("change") for event in missed] == ["opened"] + ["order_filled", "position_changed"] * 2
    assert seqs(missed) == seqs(ems.journal)[-4:]
    assert events.resume_token == client.resume_token == ResumeToken("journal-1", ems.head_seq)


async def test_token_of_another_journal_brings_a_snapshot_with_the_reason(ems: FakeEms) -> None:
    async with connect(ems.address, "me", resume=ResumeToken("other", 7)) as client:
        opened = await anext(client.events())
    assert opened.opened.snapshot_reason == Opened.SNAPSHOT_REASON_OTHER_JOURNAL


async def test_command_is_not_repeated_to_another_journal(ems: FakeEms) -> None:
    ems.rules.holds_acks = True
    async with connect(ems.address, "me") as client:
        ems.losses.append(Loss.AFTER_ACTING)
        order = client.buy("BTC-USDT", 1, account="paper.main")
        await ems.changes.until(lambda: ems.received_kinds("submit") or None, "the submit")
        ems.begin_other_journal()
        with pytest.raises(UnansweredError, match="another journal"):
            await order.acked()
        new = client.buy("BTC-USDT", 2, account="paper.main", limit_px=5, client_order_id="new")
    assert [order.client_order_id for order in ems.rules.orders.values()] == ["new"]
    assert new.order is not None


@pytest.mark.parametrize("status_is_lost", [False, True])
async def test_newer_stream_ends_the_older_one_for_good(ems: FakeEms, status_is_lost: bool) -> None:
    ems.loses_the_last_status = status_is_lost
    async with connect(ems.address, "me") as older:
        events = older.events()
        order = older.buy("BTC-USDT", 1, account="paper.main", limit_px=90)
        await order.acked()
        async with connect(ems.address, "me"):
            with pytest.raises(SupersededError):
                await order.filled()
            with pytest.raises(SupersededError):
                older.buy("BTC-USDT", 1, account="paper.main")
            with pytest.raises(SupersededError):
                [event async for event in events]
    assert len(ems.opens) == 2


async def test_leaving_tells_that_attendance_had_ended(ems: FakeEms) -> None:
    with pytest.raises(SupersededError):
        async with connect(ems.address, "me"), connect(ems.address, "me"):
            pass


async def test_silence_where_heartbeats_are_owed_is_a_loss(ems: FakeEms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "HEARTBEATS_MISSED_MAX", 1.5)
    async with connect(ems.address, "me", heartbeat_seconds=1) as client:
        await ems.changes.until(lambda: True if len(ems.received_kinds("heartbeat")) > 1 else None, "two heartbeats")
        assert len(ems.opens) == 1
        ems.silent = True
        monkeypatch.setattr(attendance, "OPEN_SECONDS_MAX", 0.1)
        await ems.changes.until(lambda: True if len(ems.opens) > 2 else None, "opens in vain")
        ems.silent = False
        await client.buy("BTC-USDT", 1, account="paper.main").filled()


async def test_server_that_does_not_answer_the_open_is_not_waited_for(
    ems: FakeEms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "OPEN_SECONDS_MAX", 0.1)
    ems.silent = True
    with pytest.raises(UnreachableError, match="silent"):
        async with connect(ems.address, "me"):
            pass


async def test_server_that_restarts_is_found_again() -> None:
    ems = FakeEms()
    server = InProcess(ems.serving)
    await server.start()
    async with connect(server.address, "me") as client:
        order = client.buy("BTC-USDT", 1, account="paper.main", limit_px=90, client_order_id="rests")
        await order.acked()
        await server.stop()
        later = client.buy("BTC-USDT", 1, account="paper.main")
        ems.rules.fill("rests", "1")
        await server.start()
        await order.filled()
        await later.filled()
    await server.stop()


async def test_orders_that_want_the_moment_are_not_sent_long_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ems = FakeEms()
    server = InProcess(ems.serving)
    await server.start()
    async with connect(server.address, "me") as client:
        await server.stop()
        market = client.buy("BTC-USDT", 1, account="paper.main")
        fok = client.buy("BTC-USDT", 2, account="paper.main", limit_px=200, time_in_force=FOK)
        rests = client.buy("BTC-USDT", 3, account="paper.main", limit_px=90)
        market.cancel()
        monkeypatch.setattr(outbox, "SUBMIT_AGE_SECONDS_MAX", -1)  # as if it had been long
        await server.start()
        for order in (market, fok):
            with pytest.raises(NotSentError, match="waited for the stream"):
                await order.done()
        await rests.acked()
        monkeypatch.undo()
        await client.buy("BTC-USDT", 4, account="paper.main").filled()
    assert [order.terms.order_qty for order in ems.rules.orders.values()] == ["3", "4"]
    await server.stop()


@pytest.mark.parametrize("loss", Loss)
async def test_old_order_that_was_sent_is_given_up_only_if_the_ems_does_not_have_it(
    ems: FakeEms, loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(ems.address, "me") as client:
        ems.losses.append(loss)
        monkeypatch.setattr(outbox, "SUBMIT_AGE_SECONDS_MAX", -1)
        order = client.buy("BTC-USDT", 1, account="paper.main")
        if loss is Loss.BEFORE_ACTING:
            with pytest.raises(NotSentError):
                await order.filled()
        else:
            await order.filled()
    assert len(ems.rules.orders) == (0 if loss is Loss.BEFORE_ACTING else 1)


async def test_iterator_that_falls_behind_is_cut_off(ems: FakeEms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "EVENTS_WAITING_MAX", 10)
    async with connect(ems.address, "me") as client:
        events = client.events()
        for _ in range(3):
            await client.buy("BTC-USDT", 1, account="paper.main").filled()
        with pytest.raises(SlowConsumerError):
            [event async for event in events]
        assert client.positions["paper.main", "BTC-USDT"].signed_qty == 3


async def test_watch_resumes_and_gives_each_event_once(ems: FakeEms) -> None:
    async with connect(ems.address, "me") as client, connect(ems.address, "screen") as screen:
        watching = screen.watch(view=of_accounts())
        seen = [await anext(watching) for _ in range(2)]
        await client.buy("BTC-USDT", 1, account="paper.main").filled()
        while seen[-1].seq < 2:
            seen.append(await anext(watching))
        ems.lose_streams()
        await client.buy("BTC-USDT", 1, account="paper.main").filled()
        while seen[-1].seq < ems.head_seq:
            seen.append(await anext(watching))
        await watching.aclose()
    assert seqs(seen) == seqs(ems.journal)
