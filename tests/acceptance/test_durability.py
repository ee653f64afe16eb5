"""What the EMS promises to keep, and what it refuses when it could not."""

import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from ems_service import upkeep
from pitline.ems.v1.command_pb2 import Submit
from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from pitline.ems.v1.trading_service_pb2 import SubmitOrderRequest
from pitline.types.v1.account_pb2 import ENVIRONMENT_LIVE
from support.desk import Desk
from support.dialog import refused
from support.lines import lines
from support.orders import buy
from support.sim import Sim
from support.stack import SimStack, ems_in_process, ems_process
from support.waiting import eventually


async def test_a_live_broker_is_kept_down_under_flush_and_taken_under_fsync(tmp_path: Path) -> None:
    async with Sim() as sim:
        sim.environment = ENVIRONMENT_LIVE
        ems = ems_in_process(tmp_path, {"sim": sim.address})
        await ems.start()
        desk = Desk(ems.address, account="sim.main")

        async def said_why() -> bool | None:
            report = await desk.broker()
            assert report.state != BROKER_STATE_UP
            return True if "LIVE" in report.text and "PITLINE_EMS_DURABILITY=fsync" in report.text else None

        try:
            await eventually(said_why, "the reason")
        finally:
            await desk.close()
            await ems.stop()
        ems = ems_in_process(tmp_path, {"sim": sim.address}, "fsync")
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
        finally:
            await desk.close()
            await ems.stop()


async def test_a_nearly_full_disk_refuses_orders_and_takes_cancels(
    on_sim: SimStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = on_sim.desk

    async def noticed() -> bool | None:
        notices = (await desk.status()).notices
        return any("MiB are free on the journal's disk" in notice for notice in notices) or None

    async def no_notice() -> bool | None:
        return not (await desk.status()).notices or None

    async with desk.client("A") as a:
        await a.opened()
        a.submit("a-1", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked")
        monkeypatch.setattr(upkeep, "UPKEEP_SECONDS", 0.01)
        monkeypatch.setattr(upkeep, "FREE_BYTES_MIN", 2**60)
        monkeypatch.setattr(upkeep, "FREE_BYTES_ENOUGH", 2**61)
        await eventually(noticed, "a notice")
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        await a.sees("command_refused")
        a.cancel("a-1")
        await a.sees("order_canceled")
        submit = Submit(client_order_id="a-3", terms=buy("1", "X-USD", limit="100", account="sim.main"))
        refusal = await refused(desk.trading.SubmitOrder(SubmitOrderRequest(client_id="A", submit=submit)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL")
        monkeypatch.undo()
        await eventually(no_notice, "the end of the notice")
        a.submit("a-2", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-2")
        assert lines(a.news) == [
            "order_routed a-1 PENDING_NEW",
            "order_acked a-1 WORKING",
            "command_refused DISK_FULL submit",
            "cancel_requested a-1 PENDING_CANCEL",
            "order_canceled a-1 CANCELED",
            "order_routed a-2 PENDING_NEW",
            "order_acked a-2 WORKING",
        ]


async def test_a_disk_error_ends_the_process_loudly(tmp_path: Path) -> None:
    async with Sim() as sim:
        ems = ems_process(tmp_path, "SIM", sim.address)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                # From here on no file of the EMS may grow beyond what its log of SQLite has.
                room = (tmp_path / "ems" / "journal.sqlite-wal").stat().st_size
                resource.prlimit(ems.pid, resource.RLIMIT_FSIZE, (room, room))
                a.submit("a-1", buy("1", "X-USD", limit="100"))
                await a.ended()
                assert "order_routed a-1 PENDING_NEW" not in lines(a.news)
            assert await ems.exit_code() != 0
            assert sim.count("order") == 0
            assert "journal.sqlite: disk I/O error" in (tmp_path / "ems.log").read_text()
        finally:
            await desk.close()


async def test_a_damaged_end_is_cut_off_told_and_no_id_of_it_is_used_again(tmp_path: Path) -> None:
    async with Sim() as sim:
        ems = ems_in_process(tmp_path, {"sim": sim.address})
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
            async with desk.client("A") as a:
                await a.opened()
                a.submit("a-1", buy("1", "X-USD", limit="100"))
                await a.sees("order_acked")
                await a.quiet()
            head = (await desk.status()).head_seq
            await ems.stop()
            with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as db:
                last_seq = db.execute("SELECT max(last_seq) FROM record_group").fetchone()[0]
                db.execute("UPDATE record_group SET crc = crc + 1 WHERE last_seq = ?", (last_seq,))
            await ems.start()
            await desk.until_broker()
            status = await desk.status()
            assert [f"up to seq {last_seq}" in notice for notice in status.notices] == [True]
            assert status.head_seq > head
            async with desk.client("A") as a:
                await a.opened()
                a.submit("a-2", buy("1", "X-USD", limit="100"))
                await a.sees("order_acked", "a-2")
            first, second = sim.orders
            assert int(second[-7:], 36) - int(first[-7:], 36) > 1000
        finally:
            await desk.close()
            await ems.stop()
