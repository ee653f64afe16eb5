"""Row 7: the fate of a group is told until its last member has answered, over reconnects and restarts too."""

from pitline.ems.v1.command_pb2 import CancelGroup, Command, OrderSelection
from pitline.ems.v1.event_pb2 import BROKER_STATE_DOWN
from pitline.types.v1.reason_pb2 import REASON_BROKER_REJECTED
from support.dialog import Client
from support.lines import lines
from support.orders import buy
from support.sim import Sim
from support.stack import SimStack


async def five_orders(a: Client, sim: Sim) -> list[str]:
    """a-1 … a-5 rest; their refs at the broker."""
    await a.opened()
    for number in range(1, 6):
        a.submit(f"a-{number}", buy("1", "X-USD", limit="90"))
    await a.sees("order_acked", "a-5")
    return [(await sim.next_order()).order_ref for _ in range(5)]


def cancel_all(a: Client, deadline_seconds: int = 0) -> None:
    wanted = CancelGroup(group_id="g-1", selection=OrderSelection(all=True), deadline_seconds=deadline_seconds)
    a.send(Command(cancel_group=wanted))


def statuses(a: Client) -> list[str]:
    return [line for line in lines(a.news) if line.startswith("group_status")]


async def until_status(a: Client, line: str) -> None:
    while lines([await a.sees("group_status")]) != [line]:
        pass


async def test_it_is_finished_when_the_last_has_answered(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        refs = await five_orders(a, sim)
        sim.hold_cancels()
        cancel_all(a)
        await until_status(a, "group_status 5: 5 pending 0 canceled 0 refused 0 late")
        for ref in refs[:3]:
            sim.cancel(ref)
        await until_status(a, "group_status 5: 2 pending 3 canceled 0 refused 0 late")
        sim.refuse_cancel(refs[3], REASON_BROKER_REJECTED, "not now")
        await until_status(a, "group_status 5: 1 pending 3 canceled 1 refused 0 late")
        await a.quiet()
        assert not any("finished" in line for line in statuses(a))
        sim.cancel(refs[4])
        await until_status(a, "group_status 5: 0 pending 4 canceled 1 refused 0 late BROKER_REJECTED finished")
        refusal = a.news[-1].group_status.refusals[0]
        assert (refusal.order_id, refusal.text) == ((await on_sim.desk.order("A", "a-4")).order_id, "not now")


async def test_it_goes_on_over_a_reconnect_and_a_restart(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        refs = await five_orders(a, sim)
        sim.hold_cancels()
        cancel_all(a, 3600)
        await until_status(a, "group_status 5: 5 pending 0 canceled 0 refused 0 late")
        token = a.token
    sim.cancel(refs[0])
    await desk.until_stored(sim.head_broker_seq)
    await on_sim.ems.restart()
    await desk.until_broker()
    for ref in refs[1:4]:
        sim.cancel(ref)
    sim.fill(refs[4], "1", "90")
    async with desk.client("A", resume=token) as a:
        await a.opened()
        await until_status(a, "group_status 5: 0 pending 4 canceled 0 refused 1 late finished")


async def test_at_its_deadline_it_is_finished_in_any_case(on_sim: SimStack) -> None:
    sim = on_sim.sim
    async with on_sim.desk.client("A") as a:
        await five_orders(a, sim)
        sim.hold_cancels()
        cancel_all(a, 1)
        await until_status(a, "group_status 5: 5 pending 0 canceled 0 refused 0 late finished deadline")


async def test_while_the_broker_is_away_members_stay_pending(on_sim: SimStack) -> None:
    sim, desk = on_sim.sim, on_sim.desk
    async with desk.client("A") as a:
        await five_orders(a, sim)
        await sim.stop()
        await desk.until_broker(BROKER_STATE_DOWN)
        cancel_all(a)
        await until_status(a, "group_status 5: 5 pending 0 canceled 0 refused 0 late")
        await sim.start()
        await until_status(a, "group_status 5: 0 pending 5 canceled 0 refused 0 late finished")
