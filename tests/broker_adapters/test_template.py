"""The adapter that others are copied from: it passes the conformance suite, and keeps its word over a restart."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, closing
from decimal import Decimal
from pathlib import Path

import grpc
import pytest

from broker_adapters.template.app import serving
from broker_adapters.template.book import Entry
from broker_adapters.template.config import TemplateSettings
from broker_adapters.template.store import Store
from pitline.broker.v1.event_pb2 import (
    FATE_CANCELED,
    FATE_FILLED,
    FATE_NEVER_RECEIVED,
    FATE_RECEIVED_NOT_SENT,
    BrokerEvent,
)
from pitline.broker.v1.request_pb2 import AckBrokerSeq, BrokerRequest, DropOrder, NewOrder
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, SIDE_BUY, TIME_IN_FORCE_GTC
from pitline_conform import CASES, Options, Outcome, play
from pitline_rpc.server import Listening
from support.broker_dialog import BrokerDialog
from support.services import InProcess


@pytest.fixture
async def template(tmp_path: Path) -> AsyncGenerator[InProcess]:
    """The adapter, which can be restarted."""

    def on(bind: str) -> AbstractAsyncContextManager[Listening]:
        return serving(TemplateSettings(bind=bind, data_dir=tmp_path))

    adapter = InProcess(on)
    await adapter.start()
    yield adapter
    await adapter.stop()


def order(order_ref: str, limit_px: str) -> NewOrder:
    return NewOrder(
        order_ref=order_ref,
        request_ref=order_ref,
        account="main",
        symbol="AB-USD",
        side=SIDE_BUY,
        order_qty="1",
        ord_type=ORD_TYPE_LIMIT,
        limit_px=limit_px,
        time_in_force=TIME_IN_FORCE_GTC,
    )


async def test_template_passes_what_it_declares(template: InProcess) -> None:
    results = [result async for result, _ in play(CASES, template.address, Options())]
    failed = [f"{result.case.number} {result.text}" for result in results if result.outcome is Outcome.FAILED]
    assert failed == []
    # Nothing is left out but for want of a capability, or of what it declares all of.
    skipped = {result.text for result in results if result.outcome is Outcome.SKIPPED}
    assert [text for text in skipped if not text.endswith((" is not declared", " came")) and "nor" not in text] == []


async def test_after_a_restart_the_log_goes_on_and_what_the_venue_lost_is_canceled(template: InProcess) -> None:
    async with BrokerDialog(template.address) as ems:
        await ems.hello()
        before = (await ems.recovered())[0].hello_ack.store_id
        await ems.says(BrokerRequest(order=order("O1", "50")), BrokerRequest(order=order("O2", "101")))
        live = [await ems.hears_anything() for _ in range(3)]
    await template.restart()
    async with BrokerDialog(template.address) as ems:
        await ems.hello(epoch=2, last_broker_seq=0, open_refs=["O1", "O2"])
        recovered = await ems.recovered()
    assert recovered[0].hello_ack.store_id == before
    logged = [event for event in recovered if event.broker_seq]
    assert logged[:3] == live
    assert [_said(event) for event in logged] == ["ack O1", "ack O2", "fill O2", "canceled O1"]
    fates = [event.ref_state.fate for event in recovered if event.HasField("ref_state")]
    assert fates == [FATE_CANCELED, FATE_FILLED]


async def test_order_that_was_stored_and_not_sent_is_told_so_and_dropped(template: InProcess, tmp_path: Path) -> None:
    await template.stop()
    with closing(Store(tmp_path)) as store:
        store.received(Entry("O1", "main", "AB-USD", SIDE_BUY, Decimal(1)))  # and there the process died
    await template.start()
    async with BrokerDialog(template.address) as ems:
        await ems.hello(open_refs=["O1"])
        states = [event.ref_state for event in await ems.recovered() if event.HasField("ref_state")]
        await ems.says(BrokerRequest(drop=DropOrder(order_ref="O1")))
        dropped = (await ems.hears("ref_state")).ref_state
    assert [state.fate for state in states] == [FATE_RECEIVED_NOT_SENT]
    assert dropped.fate == FATE_NEVER_RECEIVED


async def test_a_journal_that_has_less_than_it_told_is_refused(template: InProcess) -> None:
    async with BrokerDialog(template.address) as ems:
        await ems.hello()
        await ems.recovered()
        stored = BrokerRequest(ack_seq=AckBrokerSeq(broker_seq=1))
        await ems.says(BrokerRequest(order=order("O1", "50")), stored)
        await ems.hears("ack")
    await template.restart()
    async with BrokerDialog(template.address) as ems:
        await ems.hello(epoch=2)
        assert await ems.ends() == grpc.StatusCode.ABORTED


def _said(event: BrokerEvent) -> str:
    kind = event.WhichOneof("change") or ""
    return f"{kind} {getattr(event, kind).order_ref}"
