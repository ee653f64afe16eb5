"""The adapter on QuickFIX's `executor`, FIX 4.4: one fill for each order, and no ack before it."""

from pathlib import Path

from support import fix_counterparts
from support.broker_dialog import BrokerDialog
from support.fix_counterparts import SYMBOL, broker_order, executor, fix_adapter

fix_counterparts.needed()


async def test_a_fill_without_an_ack_is_told_after_one(tmp_path: Path) -> None:
    venue = executor(tmp_path / "venue", "ONE")
    one = fix_adapter(tmp_path / "one", venue.port, "ONE", "executor")
    await venue.start()
    try:
        await one.start()
        async with BrokerDialog(one.address) as ems:
            await ems.hello()
            await ems.recovered()
            await ems.says(broker_order("REF1", qty="5", limit="100.5"))
            assert (await ems.hears("ack")).ack.order_ref == "REF1"
            filled = (await ems.hears("fill")).fill
            assert (filled.symbol, filled.fill.signed_qty, filled.fill.price) == (SYMBOL, "5", "100.5")
    finally:
        await one.stop()
        await venue.stop()


async def test_exec_ids_that_begin_anew_are_other_fills(tmp_path: Path) -> None:
    venue = executor(tmp_path / "venue", "ONE")
    one = fix_adapter(tmp_path / "one", venue.port, "ONE", "executor")
    await venue.start()
    try:
        await one.start()
        async with BrokerDialog(one.address) as ems:
            await ems.hello()
            await ems.recovered()
            told: list[str] = []
            for ref in ("REF1", "REF2"):
                await ems.says(broker_order(ref, qty="5", limit="100"))
                await ems.hears("ack")
                told.append((await ems.hears("fill")).fill.fill.exec_id)
                await venue.restart()  # it counts from one again
                await ems.hears("link")
                await ems.hears("link")
            assert len(set(told)) == 2
    finally:
        await one.stop()
        await venue.stop()
