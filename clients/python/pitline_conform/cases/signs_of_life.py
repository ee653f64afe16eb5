"""Heartbeats, and the cursor that the EMS acknowledges."""

from pitline.broker.v1.request_pb2 import AckBrokerSeq, RequestHeartbeat
from pitline_conform.case import Theme
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must

THEME = Theme("S", "Signs of life")

BEYOND = 2**64 - 1


@THEME.case(1)
async def heartbeat_is_answered(t: Trial) -> None:
    """Each heartbeat is answered by one, with broker_seq 0."""
    ems = await t.attaches()
    for _ in range(3):
        await ems.settles()
    numbered = [event.broker_seq for event in ems.heartbeats if event.broker_seq]
    must(not numbered, f"a heartbeat has the broker_seq {numbered[:1]}")


@THEME.case(2)
async def heartbeat_beside_an_order_is_answered(t: Trial) -> None:
    """A heartbeat in the message of an order is answered as well as the order."""
    ems = await t.attaches()
    order = t.resting()
    before = len(ems.heartbeats)
    await ems.says(RequestHeartbeat(), order)
    await ems.hears(order.order_ref, "ack")
    await ems.line.until(lambda: len(ems.heartbeats) > before or None, "heartbeat in answer to ours")


@THEME.case(3)
async def acknowledged_log_goes_on(t: Trial) -> None:
    """After ack_seq the log goes on where it was, and what follows is told again after it."""
    ems = await t.attaches(journal_id=_acknowledging(t))
    first = await t.rests(ems)
    acked = max(event.broker_seq for event in ems.heard)
    await ems.says(AckBrokerSeq(broker_seq=acked))
    await ems.says(t.cancel(first))
    canceled = await ems.hears(first.order_ref, "canceled")
    must(canceled.broker_seq > acked, f"{canceled.broker_seq} follows the acknowledged {acked}")
    await ems.close()
    again = (await t.attaches(since=acked, journal_id=_acknowledging(t))).recovery.logged
    told = [event.broker_seq for event in again if event.canceled.order_ref == first.order_ref]
    must(told == [canceled.broker_seq], f"the event after the acknowledged one is told again as {told}")


@THEME.case(4)
async def acknowledgment_beyond_the_head_does_no_harm(t: Trial) -> None:
    """An ack_seq of what was never told changes nothing."""
    ems = await t.attaches(journal_id=_acknowledging(t))
    await ems.says(AckBrokerSeq(broker_seq=BEYOND))
    order = await t.rests(ems)
    await ems.close()
    recovery = (await t.attaches(open_refs=[order.order_ref], journal_id=_acknowledging(t))).recovery
    must(recovery.hello_ack.head_broker_seq < BEYOND, "the head is what was acknowledged, and never told")


def _acknowledging(t: Trial) -> str:
    """A journal of its own: one that has acknowledged may not ask for what is before that again."""
    return f"{t.run.journal_id}-acked"
