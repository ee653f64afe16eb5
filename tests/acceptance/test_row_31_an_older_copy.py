"""Row 31, of its own journal: an EMS that starts on an older copy of its data directory has forgotten orders that the
broker has had. It is refused until an operator adopts that, and gives none of their refs again.
"""

import shutil
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pitline.ems.v1.admin_service_pb2 import AdoptBrokerRequest
from pitline.ems.v1.command_pb2 import View
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.types.v1.order_pb2 import ORDER_STATUS_CANCELED, ORDER_STATUS_WORKING
from pitline.types.v1.reason_pb2 import REASON_BROKER_DOWN, REASON_JOURNAL_BEHIND
from support.desk import Desk
from support.orders import buy, dark
from support.services import InProcess
from support.stack import PaperStack, ems_in_process, paper_stack
from support.waiting import eventually


async def _trade(desk: Desk, *names: str) -> list[str]:
    """Orders of A that rest at 50; their refs."""
    async with desk.client("A") as a:
        await a.opened()
        for name in names:
            a.submit(name, buy("1", "X-USD", limit="50"))
            await a.sees("order_acked", name)
    return [(await desk.order("A", name)).order_ref for name in names]


async def _end(desk: Desk, *names: str) -> None:
    async with desk.client("A") as a:
        await a.opened()
        for name in names:
            a.cancel(name)
            await a.sees("order_canceled", name)


async def _told_all_stored(folder: Path) -> None:
    """Until the broker was told that its whole log is stored."""

    async def told() -> bool | None:
        store = sqlite3.connect(folder / "paper" / "paper.sqlite")
        (stored,) = store.execute("SELECT stored_seq FROM journals ORDER BY epoch DESC LIMIT 1").fetchone()
        (head,) = store.execute("SELECT value FROM facts WHERE name = 'head_broker_seq'").fetchone()
        store.close()
        return stored == int(head) or None

    await eventually(told, "the broker is told that its log is stored")


async def _refused(desk: Desk) -> str:
    """The text of the refusal."""

    async def refused() -> str | None:
        report = await desk.broker()
        return report.text if report.refused_store_id else None

    text = await eventually(refused, "the journal is refused")
    assert (await desk.broker()).state == BROKER_STATE_DOWN
    return text


async def _adopt(desk: Desk) -> None:
    store_id = (await desk.broker()).refused_store_id
    await desk.admin.AdoptBroker(AdoptBrokerRequest(broker="paper", store_id=store_id))
    await desk.until_broker()


@asynccontextmanager
async def _copy(stack: PaperStack, folder: Path) -> AsyncGenerator[tuple[InProcess, Desk]]:
    """An EMS on the copy, in place of the one that ran."""
    ems = ems_in_process(folder / "copy", {"paper": stack.paper.address})
    await ems.start()
    desk = Desk(ems.address, account="paper.main")
    try:
        yield ems, desk
    finally:
        await desk.close()
        await ems.stop()


async def _copied(stack: PaperStack, folder: Path) -> None:
    await stack.ems.stop()
    shutil.copytree(folder / "ems", folder / "copy")
    await stack.ems.start()
    await stack.desk.until_broker()


async def test_it_is_refused_at_every_start_until_it_is_adopted_and_gives_no_ref_again(tmp_path: Path) -> None:
    async with paper_stack(tmp_path) as stack:
        await stack.market.quote("X-USD", bid="99", ask="100")
        (kept,) = await _trade(stack.desk, "kept")
        async with stack.desk.client("A") as a:
            await a.opened()
            a.submit("dark", dark(buy("1", "X-USD", limit="100"), "105"))
            await a.sees("dark_opened")
        await _copied(stack, tmp_path)
        used = await _trade(stack.desk, "b", "c", "open")
        await _end(stack.desk, "b", "c")
        async with stack.desk.client("A") as a:
            await a.opened()
            a.submit("bought", buy("3", "X-USD", limit="100"))
            await a.sees("order_filled", "bought")
        used.append((await stack.desk.order("A", "bought")).order_ref)
        await _told_all_stored(tmp_path)
        await stack.ems.stop()

        async with _copy(stack, tmp_path) as (ems, desk):
            assert "is another start's of the same journal" in await _refused(desk)
            for _ in range(2):  # a higher epoch does not help it
                await ems.restart()
                text = await _refused(desk)
                assert text.startswith("JOURNAL_BEHIND: ")
                assert "told to have stored up to 8, and has 1" in text
            async with desk.client("A") as a:
                await a.opened()
                a.submit("too-early", buy("1", "X-USD", limit="50"))
                denied = await a.sees("order_denied", "too-early")
                assert denied.order_denied.reason == REASON_BROKER_DOWN

            await _adopt(desk)
            assert await desk.positions() == ["paper.main X-USD 3 @ 100"]
            order = await desk.order("A", "kept")
            assert (order.state.status, order.order_ref) == (ORDER_STATUS_WORKING, kept)
            # It might have gone out in what was forgotten.
            order = await desk.order("A", "dark")
            assert (order.state.status, order.reason) == (ORDER_STATUS_CANCELED, REASON_JOURNAL_BEHIND)
            async with desk.client("A", view=View(scope=View.SCOPE_ACCOUNTS)) as a:
                await a.opened()
                snapshot = [event.snapshot_order.order for event in a.opening if event.HasField("snapshot_order")]
                assert {(order.order_ref, order.external) for order in snapshot} == {(kept, False), (used[2], True)}
            new = await _trade(desk, "b", "c", "d", "e", "f")
            assert not set(new) & {kept, *used}
            # It goes on as any other journal does.
            await ems.restart()
            await desk.until_broker()
            assert not set(await _trade(desk, "g")) & {kept, *used, *new}


async def test_what_the_broker_was_not_told_yet_is_found_out_by_its_own_refs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_service.broker_link.BROKER_TICK_SECONDS", 3_600.0)
    async with paper_stack(tmp_path) as stack:
        await _trade(stack.desk, "kept")
        await _copied(stack, tmp_path)
        (used,) = await _trade(stack.desk, "ended")
        await _end(stack.desk, "ended")
        await stack.ems.stop()
        async with _copy(stack, tmp_path) as (ems, desk):
            await ems.restart()
            assert f"it knows order {used}, and this journal has never sent that" in await _refused(desk)
            await _adopt(desk)
            assert await _trade(desk, "b", "c") != [used]


async def test_a_dark_order_that_went_out_in_the_forgotten_part_goes_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_service.broker_link.BROKER_TICK_SECONDS", 3_600.0)
    async with paper_stack(tmp_path) as stack:
        await stack.market.quote("X-USD", bid="99", ask="100")
        async with stack.desk.client("A") as a:
            await a.opened()
            a.submit("dark", dark(buy("1", "X-USD", limit="110"), "105"))
            await a.sees("dark_opened")
        await _copied(stack, tmp_path)
        async with stack.desk.client("A") as a:
            await a.opened()
            await stack.market.quote("X-USD", bid="104", ask="105")
            await a.sees("order_filled", "dark")
        await stack.ems.stop()
        async with _copy(stack, tmp_path) as (ems, desk):
            await ems.restart()
            assert "has never sent that" in await _refused(desk)
            await _adopt(desk)
            assert (await desk.order("A", "dark")).state.status == ORDER_STATUS_CANCELED
            assert await desk.positions() == ["paper.main X-USD 1 @ 105"]


async def test_a_copy_from_before_the_first_contact_is_refused_until_adopted(tmp_path: Path) -> None:
    async with paper_stack(tmp_path) as stack:
        await stack.ems.stop()
        empty = ems_in_process(tmp_path / "ems2", {"paper": "127.0.0.1:1"})
        await empty.start()
        await empty.stop()
        shutil.copytree(tmp_path / "ems2", tmp_path / "copy")
        other = ems_in_process(tmp_path / "ems2", {"paper": stack.paper.address})
        await other.start()
        desk = Desk(other.address, account="paper.main")
        await _refused(desk)  # its data directory is new, and the broker remembers the other journal
        await _adopt(desk)
        used = await _trade(desk, "b")
        await _end(desk, "b")
        await desk.close()
        await other.stop()
        async with _copy(stack, tmp_path) as (ems, desk):
            await ems.restart()
            assert "and has nothing" in await _refused(desk)
            await _adopt(desk)
            assert not set(await _trade(desk, "b", "c", "d")) & set(used)


async def test_of_two_processes_on_copies_of_one_journal_the_second_is_refused(tmp_path: Path) -> None:
    async with paper_stack(tmp_path) as stack:
        await _copied(stack, tmp_path)
        async with _copy(stack, tmp_path) as (_, desk):
            assert "epoch 2 of EMS ems is another start's" in await _refused(desk)
        assert (await stack.desk.broker()).connects == 1
