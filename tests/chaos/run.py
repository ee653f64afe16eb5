"""One run from its start to its verdict: trade, chaos, healing, rest, the end of every process, the checker."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from chaos.checker import Verdict, judged
from chaos.plan import BROKERS, DELAY_SECONDS, PROCESS_FAULTS, SERVERS, Fault, Kind, planned
from chaos.stack import TRADERS, Stack, stack

START_SECONDS_MAX = 30.0
"""Until the stack is up for the first time. Beyond it the run has failed."""

HEAL_SECONDS_MAX = 60.0
"""From the last fault until everything rests: brokers found, clients attending, no request without an answer. Beyond
it something is stuck, which is a violation.
"""

REST_SECONDS = 4.5
"""How long nothing may happen for everything to be at rest: longer than a half-open connection goes unnoticed, and than
commands wait behind an order that has no price yet.
"""

STOP_SECONDS_MAX = 15.0
"""For a process to end after SIGTERM."""

_LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Outcome:
    """What happened in a run."""

    verdict: Verdict
    done: Counter[str] = field(default_factory=Counter[str])
    """What was done, by kind and target."""
    worst_recovery_seconds: float = 0.0
    """Longest time without an EMS that answers and has its brokers, once nothing was in its way any more."""
    trade_seconds: float = 0.0
    """From the start to the last fault."""

    def lines(self) -> list[str]:
        """For people."""
        verdict = self.verdict
        # Repeats are not counted: they say how much was lost, not how much is traded.
        rate = (verdict.requests - verdict.repeated) / self.trade_seconds if self.trade_seconds else 0.0
        return [
            "done: " + ", ".join(f"{what} {count}" for what, count in sorted(self.done.items())),
            f"{verdict.requests} requests of clients, {verdict.repeated} of them submits given again; without those "
            f"{rate:.0f}/s over {self.trade_seconds:.0f} s; {verdict.events} events taken",
            f"{verdict.orders} orders, {verdict.groups} groups, {verdict.fills} fills; "
            f"worst recovery {self.worst_recovery_seconds:.1f} s",
            *verdict.lines(),
            f"{len(verdict.violations)} violations",
        ]


@dataclass(slots=True)
class _Road:
    """From the EMS to its brokers: since when nothing has been in the way."""

    free_at: float = 0.0


async def run(folder: Path, seed: int, kills: int, ems_module: tuple[str, ...]) -> Outcome:
    """A run in `folder`, which is empty."""
    outcome = Outcome(Verdict())
    road = _Road()
    stuck: list[tuple[str, str]] = []
    async with stack(folder, ems_module) as running:
        began = time.monotonic()
        await _until_up(running)
        watch = asyncio.create_task(_watch(running, road, outcome))
        await _wreak(running, planned(seed, kills, tuple(TRADERS)), road, outcome.done)
        outcome.trade_seconds = time.monotonic() - began
        running.fall_silent()
        for proxy in running.proxies.values():
            proxy.delay_seconds = 0.0
        if not await _rested(running):
            stuck.append(("quiesced", f"not at rest {HEAL_SECONDS_MAX:.0f} s after the last fault"))
        watch.cancel()
        for name in (*TRADERS, *SERVERS):
            await running.programs[name].stop(STOP_SECONDS_MAX)
        deaths = [("alive", death) for program in running.programs.values() for death in program.deaths]
    logs = {client_id: folder / f"{client_id}.log" for client_ids in TRADERS.values() for client_id in client_ids}
    stores = {name: folder / name / "paper.sqlite" for name in BROKERS}
    outcome.verdict = judged(folder / "ems" / "journal.sqlite", stores, logs)
    outcome.verdict.violations += stuck + deaths
    return outcome


async def _until_up(running: Stack) -> None:
    async with asyncio.timeout(START_SECONDS_MAX):
        while not await running.is_up():  # noqa: ASYNC110 (another process)
            await asyncio.sleep(_LOOK_SECONDS)


async def _watch(running: Stack, road: _Road, outcome: Outcome) -> None:
    """Measure outages, and start again what ended by itself."""
    up_at = time.monotonic()
    while True:
        for program in running.programs.values():
            if not program.lock.locked():
                await program.revive()
        if await running.is_up():
            took_seconds = time.monotonic() - max(up_at, road.free_at)
            outcome.worst_recovery_seconds = max(outcome.worst_recovery_seconds, took_seconds)
            up_at = time.monotonic()
        await asyncio.sleep(_LOOK_SECONDS)


async def _wreak(running: Stack, faults: list[Fault], road: _Road, done: Counter[str]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for fault in faults:
            await asyncio.sleep(fault.after_seconds)
            done[f"{fault.kind} {fault.target}"] += 1
            if fault.kind not in PROCESS_FAULTS:
                tasks.create_task(_trouble(running, fault, road))
                continue
            program = running.programs[fault.target]
            await program.lock.acquire()  # one thing at a time: it may still be down
            tasks.create_task(_hurt(running, fault, road))


async def _hurt(running: Stack, fault: Fault, road: _Road) -> None:
    program = running.programs[fault.target]
    try:
        if fault.kind is Kind.KILL:
            await program.kill()
            await asyncio.sleep(fault.seconds)
            await program.start()
        else:
            program.freeze()
            await asyncio.sleep(fault.seconds)
            program.thaw()
    finally:
        program.lock.release()
    if fault.target in SERVERS:
        road.free_at = time.monotonic()


async def _trouble(running: Stack, fault: Fault, road: _Road) -> None:
    proxy = running.proxies[fault.target]
    match fault.kind:
        case Kind.DELAY:
            proxy.delay_seconds = DELAY_SECONDS
            await asyncio.sleep(fault.seconds)
            proxy.delay_seconds = 0.0
        case Kind.CUT:
            proxy.cut()
        case _:
            proxy.half_open()
    if fault.target in BROKERS:
        road.free_at = time.monotonic()


async def _rested(running: Stack) -> bool:
    """Whether everything came to rest in time."""
    try:
        async with asyncio.timeout(HEAL_SECONDS_MAX):
            head, since = None, time.monotonic()
            while head is None or time.monotonic() < since + REST_SECONDS:
                await asyncio.sleep(_LOOK_SECONDS)
                now = await running.at_rest()
                if now is None or now != head:
                    head, since = now, time.monotonic()
    except TimeoutError:
        return False
    return True
