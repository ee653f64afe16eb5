"""An order that is taken: its first answer, and the place of what is said in the broker's log."""

from itertools import pairwise

from pitline.broker.v1.event_pb2 import FATE_WORKING
from pitline_conform.case import Theme
from pitline_conform.reading import has_fate
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must

THEME = Theme("A", "Acks")

BATCH = 5


@THEME.case(1)
async def resting_order_is_acked_once(t: Trial) -> None:
    """An order that rests is acknowledged, exactly once."""
    ems = await t.attaches()
    order = t.resting()
    await ems.says(order)
    await ems.hears(order.order_ref, "ack")
    await ems.hears_no_more(order.order_ref)


@THEME.case(2)
async def ack_names_the_brokers_id(t: Trial) -> None:
    """An ack carries the broker's own id, and two orders have two."""
    ems = await t.attaches()
    ids: list[str] = []
    for _ in range(2):
        order = t.resting()
        await ems.says(order)
        ids.append((await ems.hears(order.order_ref, "ack")).ack.broker_order_id)
    must(all(ids), "broker_order_id is empty")
    must(ids[0] != ids[1], f"two orders have the broker_order_id {ids[0]!r}")


@THEME.case(3)
async def batch_is_answered_one_by_one(t: Trial) -> None:
    """Orders that come in one message are acknowledged each."""
    ems = await t.attaches()
    orders = [t.resting() for _ in range(BATCH)]
    await ems.says(*orders)
    for order in orders:
        await ems.hears(order.order_ref, "ack")
    for order in orders:
        await ems.hears_no_more(order.order_ref)


@THEME.case(4)
async def log_is_dense(t: Trial) -> None:
    """Broker_seq goes up by one with every event of the log, in the order in which they come."""
    ems = await t.attaches()
    orders = [t.resting() for _ in range(BATCH)]
    await ems.says(*orders)
    for order in orders:
        await ems.hears(order.order_ref, "ack")
    await ems.says(*(t.cancel(order) for order in orders))
    for order in orders:
        await ems.hears(order.order_ref, "canceled")
    await ems.settles()
    seqs = [event.broker_seq for event in ems.heard if event.broker_seq]
    gaps = [(before, after) for before, after in pairwise(seqs) if after != before + 1]
    must(not gaps, f"broker_seq goes {', then '.join(f'from {before} to {after}' for before, after in gaps[:3])}")


@THEME.case(5)
async def events_say_their_times(t: Trial) -> None:
    """An event of the log says when it happened and when the adapter had it."""
    ems = await t.attaches()
    order = t.resting()
    await ems.says(order)
    ack = await ems.hears(order.order_ref, "ack")
    must(ack.time.seconds > 0, "time is absent")
    must(ack.receive_time.seconds > 0, "receive_time is absent")


@THEME.case(6)
async def acked_order_is_working(t: Trial) -> None:
    """An acknowledged order is told as WORKING, with the id of its ack and nothing filled."""
    t.declares("query_by_ref")
    ems = await t.attaches()
    order = t.resting()
    await ems.says(order)
    ack = (await ems.hears(order.order_ref, "ack")).ack
    state = await ems.asks(order.order_ref)
    has_fate(state, FATE_WORKING, "0")
    must(state.broker_order_id == ack.broker_order_id, f"broker_order_id is {state.broker_order_id!r}")
