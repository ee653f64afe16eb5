"""After a lost stream: what was missed, and what became of each open ref."""

from itertools import pairwise

from pitline.broker.v1.event_pb2 import (
    FATE_CANCELED,
    FATE_FILLED,
    FATE_NEVER_RECEIVED,
    FATE_REJECTED,
    FATE_UNKNOWN,
    FATE_WORKING,
    Fate,
)
from pitline_conform.case import Theme
from pitline_conform.reading import has_fate
from pitline_conform.record import content, kind_of
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must

THEME = Theme("R", "Recovery")

BEYOND = 1_000
"""How far a cursor is ahead of its log."""


@THEME.case(1)
async def missed_events_are_told_again(t: Trial) -> None:
    """Events after the cursor are told again, the same ones under the same numbers."""
    ems = await t.attaches()
    since = t.run.record.head or 0
    order = await t.rests(ems)
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")
    live = [event for event in ems.heard if event.broker_seq > since]
    await ems.close()
    again = (await t.attaches(since=since)).recovery.logged
    must(len(again) >= len(live), f"{len(live)} events followed the cursor {since}, and {len(again)} were told again")
    for before, after in zip(live, again, strict=False):
        same = content(before) == content(after)
        must(same, f"{before.broker_seq} was {kind_of(before)}, and is {after.broker_seq}, {kind_of(after)}")


@THEME.case(2)
async def nothing_is_told_at_the_head(t: Trial) -> None:
    """With the cursor at the head no event of the log is told again."""
    ems = await t.attaches()
    await t.rests(ems)
    await ems.settles()
    since = max(event.broker_seq for event in ems.heard)
    await ems.close()
    again = [event.broker_seq for event in (await t.attaches(since=since)).recovery.logged]
    old = [seq for seq in again if seq <= since]
    must(not old, f"the cursor was {since}, and {old[:3]} were told again")


@THEME.case(3)
async def from_the_beginning_the_log_is_dense(t: Trial) -> None:
    """With the cursor 0 everything still kept is told, dense up to the head."""
    ems = await t.attaches()
    order = await t.rests(ems)
    await ems.close()
    recovery = (await t.attaches(since=0)).recovery
    seqs = [event.broker_seq for event in recovery.logged]
    head = recovery.hello_ack.head_broker_seq
    must(seqs and seqs[-1] >= head, f"the head is {head}, and the last event told is {seqs[-1:]}")
    gaps = [(before, after) for before, after in pairwise(seqs) if after != before + 1]
    must(not gaps, f"broker_seq goes from {gaps[0][0]} to {gaps[0][1]}" if gaps else "")
    acks = [event for event in recovery.logged if event.ack.order_ref == order.order_ref]
    must(len(acks) == 1, f"the ack of {order.order_ref} was told {len(acks)} times")


@THEME.case(4)
async def every_open_ref_has_one_state(t: Trial) -> None:
    """Each open ref, working, canceled, rejected or never sent, gets exactly one ref_state, with broker_seq 0."""
    ems = await t.attaches()
    working, canceled = await t.rests(ems), await t.rests(ems)
    rejected = t.order(symbol="NO-SUCH")
    await ems.says(t.cancel(canceled), rejected)
    await ems.hears(canceled.order_ref, "canceled")
    await ems.hears(rejected.order_ref, "rejected")
    refs = [working.order_ref, canceled.order_ref, rejected.order_ref, t.new_ref()]
    await ems.close()
    recovery = (await t.attaches(open_refs=refs)).recovery
    for ref in refs:
        states = recovery.ref_states(ref)
        must(len(states) == 1, f"open ref {ref} got {len(states)} ref_states, not one")
    numbered = [event.broker_seq for event in recovery.events if event.HasField("ref_state") and event.broker_seq]
    must(not numbered, f"a ref_state has the broker_seq {numbered[:1]}, and is about this stream only: 0")


@THEME.case(5)
async def states_of_open_refs_are_true(t: Trial) -> None:
    """In recovery a working order is WORKING, a canceled one CANCELED, a rejected one REJECTED."""
    ems = await t.attaches()
    working, canceled = await t.rests(ems), await t.rests(ems)
    rejected = t.order(symbol="NO-SUCH")
    await ems.says(t.cancel(canceled), rejected)
    await ems.hears(canceled.order_ref, "canceled")
    await ems.hears(rejected.order_ref, "rejected")
    wanted = {working.order_ref: FATE_WORKING, canceled.order_ref: FATE_CANCELED, rejected.order_ref: FATE_REJECTED}
    await ems.close()
    recovery = (await t.attaches(open_refs=list(wanted))).recovery
    for ref, fate in wanted.items():
        states = recovery.ref_states(ref)
        must(states, f"open ref {ref} got no ref_state")
        has_fate(states[0], fate, "0")


@THEME.case(6)
async def ref_that_was_never_sent_never_came(t: Trial) -> None:
    """A ref that was never sent is NEVER_RECEIVED; UNKNOWN from a broker that cannot know (no query_by_ref)."""
    ref = t.new_ref()
    ems = await t.attaches(open_refs=[ref])
    states = ems.recovery.ref_states(ref)
    must(states, f"open ref {ref} got no ref_state")
    fates = [FATE_NEVER_RECEIVED] if t.ground.capabilities.query_by_ref else [FATE_NEVER_RECEIVED, FATE_UNKNOWN]
    must(states[0].fate in fates, f"{ref} was never sent, and is told as {Fate.Name(states[0].fate)}")


@THEME.case(7)
async def order_outlives_its_stream(t: Trial) -> None:
    """An order that works before the stream is lost is canceled on the next one."""
    ems = await t.attaches()
    order = await t.rests(ems)
    await ems.close()
    ems = await t.attaches(open_refs=[order.order_ref])
    await ems.says(t.cancel(order))
    await ems.hears(order.order_ref, "canceled")


@THEME.case(8)
async def fills_keep_their_exec_ids(t: Trial) -> None:
    """Fills that are told again carry the exec_ids that they had."""
    ems = await t.attaches()
    since = t.run.record.head or 0
    order, fills = await t.fills(ems)
    await ems.close()
    again = (await t.attaches(since=since)).recovery.logged
    told = [event.fill.fill.exec_id for event in again if event.fill.order_ref == order.order_ref]
    wanted = [event.fill.fill.exec_id for event in fills]
    must(told == wanted, f"the exec_ids were {wanted}, and are {told}")


@THEME.case(9)
async def filled_order_is_told_so(t: Trial) -> None:
    """In recovery a filled order is FILLED, with all of its quantity."""
    ems = await t.attaches()
    order, _ = await t.fills(ems)
    await ems.close()
    states = (await t.attaches(open_refs=[order.order_ref])).recovery.ref_states(order.order_ref)
    must(len(states) == 1, f"open ref {order.order_ref} got {len(states)} ref_states, not one")
    has_fate(states[0], FATE_FILLED, order.order_qty)


@THEME.case(10)
async def cut_order_is_known_or_never_came(t: Trial) -> None:
    """An order whose stream is cut behind it is known by its answer, or is NEVER_RECEIVED and stays so."""
    ems = await t.attaches()
    since = t.run.record.head or 0
    order = t.resting()
    await ems.says(order)
    await ems.close()
    ems = await t.attaches(since=since, open_refs=[order.order_ref])
    states = ems.recovery.ref_states(order.order_ref)
    must(len(states) == 1, f"open ref {order.order_ref} got {len(states)} ref_states, not one")
    answers = [event for event in ems.recovery.logged if event.ack.order_ref == order.order_ref]
    if states[0].fate == FATE_NEVER_RECEIVED:
        must(not answers, f"{order.order_ref} is NEVER_RECEIVED, and was acknowledged")
        await ems.hears_no_more(order.order_ref)
    elif states[0].fate == FATE_WORKING:
        await ems.hears(order.order_ref, "ack")  # in recovery, or soon after it


@THEME.case(11)
async def log_goes_on_after_recovery(t: Trial) -> None:
    """The first event after recovery has the number after its head."""
    ems = await t.attaches()
    head = ems.recovery.end.head_broker_seq
    order = t.resting()
    await ems.says(order)
    await ems.hears(order.order_ref, "ack")
    seqs = [event.broker_seq for event in ems.heard[len(ems.recovery.events) :] if event.broker_seq]
    must(seqs[0] == head + 1, f"the head was {head}, and the next event is {seqs[0]}")


@THEME.case(12)
async def cursor_beyond_the_head_is_answered_truly(t: Trial) -> None:
    """A cursor beyond the head is answered with the true head, by which an EMS knows that a log went back."""
    before = (await t.attaches()).recovery.hello_ack.head_broker_seq
    ems = await t.attaches(since=before + BEYOND)
    head = ems.recovery.hello_ack.head_broker_seq
    must(before <= head < before + BEYOND, f"the head was {before}, and is told as {head}")
