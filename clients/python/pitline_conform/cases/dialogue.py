"""Who may speak: hello, epochs, takeovers, and what ends a stream."""

from typing import Any

from grpc import StatusCode

from pitline.broker.v1.request_pb2 import BrokerRequest, OpenRefs, RequestHeartbeat
from pitline.types.v1.account_pb2 import ENVIRONMENT_UNSPECIFIED
from pitline_conform.case import Theme
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must

THEME = Theme("D", "Dialogue and epochs")

UNKNOWN_ARM = b"\xc2\x3e\x00"
"""Field 1000 of a request, empty: an arm that this version of the contract does not have."""


@THEME.case(1)
async def hello_is_answered(t: Trial) -> None:
    """Hello is answered by hello_ack: store, environment, accounts, capabilities, the epoch."""
    ems = await t.opens()
    hello = t.hello()
    await ems.says(hello)
    first = (await ems.recovers()).events[0]
    ack = first.hello_ack
    must(first.broker_seq == 0, f"hello_ack has broker_seq {first.broker_seq}, and is about this stream only: 0")
    must(ack.store_id, "store_id is empty")
    must(ack.environment != ENVIRONMENT_UNSPECIFIED, "environment is not said: paper or live")
    must(ack.accounts, "no account can be traded")
    must(all(account.account for account in ack.accounts), "an account has no name")
    must(ack.HasField("capabilities"), "capabilities are absent")
    must(ack.highest_epoch == hello.epoch, f"highest_epoch is {ack.highest_epoch}, and hello said {hello.epoch}")


@THEME.case(2)
async def first_contact_begins_at_the_head(t: Trial) -> None:
    """At first contact, without a cursor, nothing of the past is told."""
    ems = await t.opens()
    await ems.says(t.hello(last_broker_seq=None))
    recovery = await ems.recovers()
    head = recovery.hello_ack.head_broker_seq
    past = [event.broker_seq for event in recovery.logged if event.broker_seq <= head]
    must(not past, f"the head is {head}, and {past[:3]} were told")


@THEME.case(3)
async def recovery_ends_at_the_head(t: Trial) -> None:
    """Recover_end names the last broker_seq told, with broker_seq 0 itself."""
    ems = await t.opens()
    await ems.says(t.hello())
    recovery = await ems.recovers()
    head = max([recovery.hello_ack.head_broker_seq, *(event.broker_seq for event in recovery.events)])
    must(recovery.end.head_broker_seq == head, f"recover_end says {recovery.end.head_broker_seq}, the last is {head}")
    must(recovery.events[-1].broker_seq == 0, "recover_end has a broker_seq")


@THEME.case(4)
async def store_is_the_same_again(t: Trial) -> None:
    """The store_id of a second stream is that of the first."""
    stores = [(await t.attaches()).recovery.hello_ack.store_id for _ in range(2)]
    must(stores[0] == stores[1], f"store_id was {stores[0]!r} and is {stores[1]!r}")


@THEME.case(5)
async def another_first_request_is_refused(t: Trial) -> None:
    """A stream that does not begin with hello ends FAILED_PRECONDITION."""
    ems = await t.opens()
    await ems.says(RequestHeartbeat())
    await ems.ends(StatusCode.FAILED_PRECONDITION)


@THEME.case(6)
async def second_hello_is_refused(t: Trial) -> None:
    """A second hello on one stream ends it FAILED_PRECONDITION."""
    ems = await t.attaches()
    await ems.says(t.hello())
    await ems.ends(StatusCode.FAILED_PRECONDITION)


@THEME.case(7)
async def same_epoch_takes_over(t: Trial) -> None:
    """A hello with the same epoch takes over, and the older stream ends ABORTED."""
    older = await t.attaches()
    newer = await t.opens()
    hello = t.hello(epoch=t.run.epoch)
    await newer.says(hello)
    await newer.recovers()
    await older.ends(StatusCode.ABORTED)
    await newer.settles()


@THEME.case(8)
async def newer_epoch_takes_over(t: Trial) -> None:
    """A hello with a higher epoch takes over, and the older stream ends ABORTED."""
    older = await t.attaches()
    newer = await t.attaches()
    await older.ends(StatusCode.ABORTED)
    await newer.settles()


@THEME.case(9)
async def lower_epoch_is_refused(t: Trial) -> None:
    """A hello with a lower epoch ends ABORTED, and who is attached stays."""
    attached = await t.attaches()
    late = await t.opens()
    await late.says(t.hello(epoch=t.run.epoch - 1))
    await late.ends(StatusCode.ABORTED)
    await attached.settles()


@THEME.case(10)
async def lower_epoch_is_refused_when_nobody_is_attached(t: Trial) -> None:
    """A lower epoch ends ABORTED also when the stream of the higher one is gone."""
    gone = await t.attaches()
    await gone.close()
    late = await t.opens()
    await late.says(t.hello(epoch=t.run.epoch - 1))
    await late.ends(StatusCode.ABORTED)


@THEME.case(11)
async def another_ems_is_refused(t: Trial) -> None:
    """While an EMS is attached another one ends FAILED_PRECONDITION, and the first stays."""
    attached = await t.attaches()
    other = await t.opens()
    await other.says(t.hello(ems_id="conform-other"))
    await other.ends(StatusCode.FAILED_PRECONDITION)
    await attached.settles()


@THEME.case(12)
async def malformed_ems_id_is_refused(t: Trial) -> None:
    """A hello whose ems_id is empty, too long or of other letters ends INVALID_ARGUMENT."""
    for ems_id in ("", "x" * 65, "no spaces", "ü"):
        await _refused(t, ems_id=ems_id)


@THEME.case(13)
async def malformed_journal_id_is_refused(t: Trial) -> None:
    """A hello without a journal_id, or with one too long, ends INVALID_ARGUMENT."""
    for journal_id in ("", "x" * 65):
        await _refused(t, journal_id=journal_id)


@THEME.case(14)
async def epoch_zero_is_refused(t: Trial) -> None:
    """A hello with epoch 0 ends INVALID_ARGUMENT."""
    await _refused(t, epoch=0)


@THEME.case(15)
async def unknown_durability_is_refused(t: Trial) -> None:
    """A hello whose durability is not said, or not known, ends INVALID_ARGUMENT."""
    for durability in (0, 99):
        await _refused(t, durability=durability)


@THEME.case(16)
async def malformed_open_ref_is_refused(t: Trial) -> None:
    """A hello with an open_ref that is none ends INVALID_ARGUMENT."""
    for ref in ("", "lower", "A" * 21):
        await _refused(t, open_refs=[ref])


@THEME.case(17)
async def refused_hello_leaves_no_trace(t: Trial) -> None:
    """After a malformed hello a sound one of the same epoch is taken."""
    ems = await t.opens()
    await ems.says(t.hello(durability=0))
    await ems.ends(StatusCode.INVALID_ARGUMENT)
    again = await t.opens()
    await again.says(t.hello(epoch=t.run.epoch))
    await again.recovers()


@THEME.case(18)
async def unknown_arm_is_refused(t: Trial) -> None:
    """A request of a kind that this contract does not have ends the stream INVALID_ARGUMENT."""
    ems = await t.attaches()
    await ems.says(BrokerRequest.FromString(UNKNOWN_ARM))
    await ems.ends(StatusCode.INVALID_ARGUMENT)


@THEME.case(19)
async def request_without_an_arm_is_refused(t: Trial) -> None:
    """An empty request ends the stream INVALID_ARGUMENT."""
    ems = await t.attaches()
    await ems.says(BrokerRequest())
    await ems.ends(StatusCode.INVALID_ARGUMENT)


@THEME.case(20)
async def open_refs_come_in_several_messages(t: Trial) -> None:
    """Open refs that follow hello are answered with those in it, one ref_state each, and not before the last."""
    refs = [t.new_ref() for _ in range(5)]
    ems = await t.opens()
    await ems.says(t.hello(open_refs=refs[:2], more_open_refs=True))
    await ems.says(OpenRefs(order_refs=refs[2:4], more=True), OpenRefs(order_refs=refs[4:]))
    recovery = await ems.recovers()
    for ref in refs:
        states = recovery.ref_states(ref)
        must(len(states) == 1, f"open ref {ref} got {len(states)} ref_states, not one")


@THEME.case(21)
async def open_refs_that_were_not_announced_are_refused(t: Trial) -> None:
    """Open refs on a stream that announced none end it."""
    ems = await t.attaches()
    await ems.says(OpenRefs(order_refs=[t.new_ref()]))
    await ems.ends(StatusCode.FAILED_PRECONDITION, StatusCode.INVALID_ARGUMENT)


async def _refused(t: Trial, **changed: Any) -> None:
    ems = await t.opens()
    await ems.says(t.hello(**changed))
    await ems.ends(StatusCode.INVALID_ARGUMENT)
