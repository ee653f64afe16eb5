"""The whole run looked at again: what was said in it agrees with itself. These come last."""

from itertools import pairwise

from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline_conform.case import Theme
from pitline_conform.record import ENDS, kind_of, ref_of
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must, needs
from pitline_rpc.decimals import parse

THEME = Theme("L", "The whole log")


@THEME.case(1)
async def log_of_the_run_is_told_again(t: Trial) -> None:
    """From where the run began the log is told again: dense, up to the head, and as it was told first."""
    record = t.run.record
    needs(record.events, "nothing was told in this run")
    recovery = (await t.attaches(since=record.first_head or 0)).recovery
    seqs = [event.broker_seq for event in recovery.logged]
    gaps = [(before, after) for before, after in pairwise(seqs) if after != before + 1]
    must(not gaps, f"broker_seq goes from {gaps[0][0]} to {gaps[0][1]}" if gaps else "")
    must(seqs and seqs[-1] == max(record.events), f"the last event was {max(record.events)}, and is {seqs[-1:]}")
    must(not record.contradictions, "; ".join(record.contradictions[:3]))


@THEME.case(2)
async def every_order_has_one_first_answer(t: Trial) -> None:
    """Every order of the run was acknowledged or rejected, once; or filled, which implies the ack."""
    told = [(ref, [kind_of(event) for event in t.run.record.about(ref)]) for ref in t.run.record.sent]
    needs(any(kinds for _, kinds in told), "no order was answered in this run")
    for ref, kinds in told:
        answers = kinds.count("ack") + kinds.count("rejected")
        must(answers <= 1, f"{ref} was answered {answers} times: {', '.join(kinds)}")
        opened = answers == 1 or "fill" in kinds or not {"canceled", "expired", "modified"} & set(kinds)
        must(opened, f"{ref} was never acknowledged: {', '.join(kinds)}")


@THEME.case(3)
async def every_fill_has_its_own_id(t: Trial) -> None:
    """No two fills of the run have one exec_id."""
    fills = _fills(t)
    needs(fills, "nothing was filled in this run")
    names = [(event.fill.account, event.fill.fill.exec_id) for event in fills]
    twice = sorted({name for name in names if names.count(name) > 1})
    must(not twice, f"used twice: {twice[:3]}")


@THEME.case(4)
async def nothing_is_filled_beyond_its_quantity(t: Trial) -> None:
    """No order of the run was filled beyond its quantity."""
    needs(_fills(t), "nothing was filled in this run")
    record = t.run.record
    for ref in {event.fill.order_ref for event in _fills(t)} & record.sent.keys():
        filled, order_qty = record.cum_qty(ref), record.order_qty(ref)
        must(filled <= order_qty, f"{ref}: {filled} of {order_qty} was filled")


@THEME.case(5)
async def every_order_ends_once(t: Trial) -> None:
    """No order of the run ended twice, and none was filled or modified after its end."""
    needs(t.run.record.events, "nothing was told in this run")
    for ref in t.run.record.sent:
        kinds = [kind_of(event) for event in t.run.record.about(ref)]
        ends = [n for n, kind in enumerate(kinds) if kind in ENDS]
        if ends:
            after = [kind for kind in kinds[ends[0] + 1 :] if kind not in ("cancel_rejected", "modify_rejected")]
            must(not after, f"{ref} had ended, and then came {', '.join(after)}")


@THEME.case(6)
async def every_event_is_of_an_order_that_was_sent(t: Trial) -> None:
    """Acks, fills and ends of the run are of orders that were sent in it."""
    needs(t.run.record.events, "nothing was told in this run")
    for event in t.run.record.events.values():
        if kind_of(event) in ("ack", "rejected", "canceled", "expired", "modified", "fill"):
            known = ref_of(event) in t.run.record.sent
            must(known, f"{kind_of(event)} {event.broker_seq} is of {ref_of(event)!r}, which was never sent")


def _fills(t: Trial) -> list[BrokerEvent]:
    return [event for event in t.run.record.events.values() if parse(event.fill.fill.signed_qty or "0")]
