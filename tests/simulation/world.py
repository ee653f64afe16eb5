"""One world: an EMS, two paper brokers, three clients, a market each, and whatever goes wrong, all by one seed.

`run` plays a seed: for a few seconds everything may fail, then the world is left alone until nothing is left to do, and
is checked; then every client cancels what is open, and it is checked once more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from unittest import mock

from ems_service.core.linked import CHILD_RULES, Left, Remedy, Stands
from paper_broker.latency import NONE, Latency, Span
from pitline_client.terms import CANCEL_MINE, KEEP, OWN, of_accounts
from simulation.broker_host import BrokerHost
from simulation.checks import Violation, check, check_the_end
from simulation.client_host import ClientHost
from simulation.ems_host import EmsHost
from simulation.faults import Fault
from simulation.mortal import Crash, Mortal
from simulation.network import End, Line
from simulation.schedule import MILLISECOND_NS, NOON_NS, SECOND_NS, NeverAtRest, Schedule
from simulation.venue import BROKERS, SYMBOLS, Weather


@dataclass(slots=True)
class Size:
    """How long a world may be troubled, how often each client acts in that time, the market moves, and the
    EMS compares."""

    trouble_ns: int
    actions: int
    moves: int
    comparisons: int
    compactions: int
    feed_troubles: int


WORLD = Size(3 * SECOND_NS, actions=22, moves=60, comparisons=3, compactions=5, feed_troubles=4)
VILLAGE = Size(SECOND_NS // 2, actions=2, moves=12, comparisons=1, compactions=2, feed_troubles=1)
"""Small enough to die in it at every single commit."""

WAKES_MAX = 100
"""Deadlines of a world that is left alone: who is in doubt after so many stays so, and the checks tell."""

CRASHES = tuple(crash for crash in Crash if crash is not Crash.NO)


@dataclass(slots=True)
class Appointment:
    """One crash around one commit, and no other: the commits of `who` are counted from 1. 0: no crash at all."""

    who: str
    commit: int
    crash: Crash


@dataclass(slots=True)
class Outcome:
    """What a run came to. `commits` counts them by who made them."""

    seed: int
    digest: str
    steps: int
    events: int
    commits: dict[str, int]
    crashes: int
    failure: str = ""
    by: str = ""
    """The assertion that told."""
    last: list[str] = field(default_factory=list[str])


class World:
    """Everything there is. With an appointment, the world is small, one process dies once, nothing else goes wrong."""

    def __init__(self, seed: int, fault: Fault | None, appointment: Appointment | None) -> None:
        self.schedule = schedule = Schedule(seed)
        dice = schedule.dice
        self.appointment = appointment
        self.commits: dict[str, int] = {}
        self.crashes = 0
        self.lines: list[Line] = []
        self._healed = False
        # How troubled this world is: some are calm, so that much happens between two deaths.
        self.size = VILLAGE if appointment else WORLD
        self._crash_chance = 0 if appointment else dice.choice((0.0, 0.02, 0.04))
        self._troubles = 0 if appointment else dice.choice((2, 6, 12))
        self.weathers = {name: Weather(dice) for name in BROKERS}
        self.brokers = {name: self._broker(name, seed, fault) for name in BROKERS}
        self.ems = EmsHost(
            schedule, self, _durability(schedule), _answer_ns(schedule), fault, self._reach_broker, self.weathers
        )
        self.clients = [
            ClientHost("alice", schedule, self, self._reach_ems, OWN, KEEP),
            ClientHost("bob", schedule, self, self._reach_ems, OWN, dice.choice((KEEP, CANCEL_MINE))),
            ClientHost("desk", schedule, self, self._reach_ems, of_accounts(), KEEP),
        ]
        self._mortals: Mapping[str, Mortal] = {
            mortal.name: mortal for mortal in (*self.brokers.values(), self.ems, *self.clients)
        }

    def at_commit(self, who: str) -> Crash:
        """A Doom's: dice, or the appointment."""
        if self._healed:
            return Crash.NO
        self.commits[who] = count = self.commits.get(who, 0) + 1
        crash, appointment = Crash.NO, self.appointment
        if appointment is not None:
            if (who, count) == (appointment.who, appointment.commit):
                crash = appointment.crash
        elif self.schedule.chance(self._crash_chance):
            crash = self.schedule.dice.choice(CRASHES)
        if crash is not Crash.NO:
            self.crashes += 1
            self.schedule.after(5 * MILLISECOND_NS, 300 * MILLISECOND_NS, lambda: self._revive(who))
        return crash

    def live(self) -> None:
        """Begin, and let everything happen that the seed has in store."""
        schedule, dice, size = self.schedule, self.schedule.dice, self.size
        for mortal in self._mortals.values():
            schedule.after(0, 20 * MILLISECOND_NS, mortal.start)
        for client in self.clients:
            for _ in range(size.actions):
                schedule.after(50 * MILLISECOND_NS, size.trouble_ns, client.act)
        for _ in range(size.moves):
            schedule.after(0, size.trouble_ns, self._move)
        for _ in range(size.comparisons):
            schedule.after(0, size.trouble_ns, self._compare)
        for _ in range(size.compactions):
            schedule.after(100 * MILLISECOND_NS, size.trouble_ns, self.ems.compact)
            schedule.after(100 * MILLISECOND_NS, size.trouble_ns, self.ems.let_go)
        for _ in range(size.feed_troubles):
            schedule.after(100 * MILLISECOND_NS, size.trouble_ns, self._trouble_feed)
        for _ in range(self._troubles):
            schedule.after(100 * MILLISECOND_NS, size.trouble_ns, dice.choice((self._cut, self._silence, self._kill)))
        schedule.run(NOON_NS + size.trouble_ns)

    def heal(self) -> None:
        """Leave it alone until nothing is left to do. Raises NeverAtRest."""
        self._healed = True
        self.ems.wakes_left = WAKES_MAX
        self.schedule.note("world", "healed")
        for line in self.lines:
            if line.is_silent:
                line.cut()
        for mortal in self._mortals.values():
            self._revive(mortal.name)
        self.schedule.run()

    def _revive(self, who: str) -> None:
        mortal = self._mortals[who]
        if not mortal.alive:
            self.schedule.note(who, "lives")
            mortal.start()

    def _move(self) -> None:
        """A market moves: its broker hears of it, and later the EMS."""
        name = self.schedule.dice.choice(BROKERS)
        changes, broker = self.weathers[name].move(self.schedule.now_ns), self.brokers[name]
        broker.move(changes)
        if self.ems.alive and broker.alive:
            self.ems.prices.of[name].moved(changes)

    def _trouble_feed(self) -> None:
        if not self.ems.alive:
            return
        prices = self.ems.prices.of[self.schedule.dice.choice(BROKERS)]
        if self.schedule.chance(0.5):
            prices.lose()
        else:
            prices.fall_silent(self.schedule.dice.choice(SYMBOLS))

    def _compare(self) -> None:
        if self.ems.alive:
            for line in self.ems.lines.values():
                line.compare()

    # What goes wrong between two steps.

    def _cut(self) -> None:
        line = self._any_line()
        if line is not None:
            line.cut()

    def _silence(self) -> None:
        line = self._any_line()
        if line is not None:
            line.go_silent()
            self.schedule.after(100 * MILLISECOND_NS, SECOND_NS, line.cut)

    def _kill(self) -> None:
        mortal = self.schedule.dice.choice(list(self._mortals.values()))
        if not mortal.alive:
            return
        self.crashes += 1
        mortal.die("dies between two steps")
        if isinstance(mortal, ClientHost) and self.schedule.chance(0.2):
            mortal.lose_disk()
        self.schedule.after(5 * MILLISECOND_NS, 300 * MILLISECOND_NS, lambda: self._revive(mortal.name))

    def _any_line(self) -> Line | None:
        self.lines = [line for line in self.lines if line.is_open]
        return self.schedule.dice.choice(self.lines) if self.lines else None

    def _broker(self, name: str, seed: int, fault: Fault | None) -> BrokerHost:
        schedule, weather = self.schedule, self.weathers[name]
        delays, modify = _latency(schedule, seed), name != "dealer"
        return BrokerHost(name, schedule, self, _durability(schedule), fault, delays, weather, modify=modify)

    def _reach_broker(self, name: str, caller: End) -> Line | None:
        broker = self.brokers[name]
        return self._line(f"ems-{name}", caller, broker) if broker.alive else None

    def _reach_ems(self, caller: End) -> Line | None:
        return self._line("client-ems", caller, self.ems) if self.ems.is_open else None

    def _line(self, name: str, caller: End, called: EmsHost | BrokerHost) -> Line:
        line = Line(name, self.schedule, caller, called.answer)
        self.lines.append(line)
        return line


def run(seed: int, fault: Fault | None = None, appointment: Appointment | None = None) -> Outcome:
    """Play one seed and check it."""
    if fault is Fault.UNSHRUNK_SIBLING:
        with mock.patch.dict(CHILD_RULES, {(Stands.SENT, Left.SOME): Remedy.LEAVE}):
            return _run(seed, fault, appointment)
    return _run(seed, fault, appointment)


def _run(seed: int, fault: Fault | None, appointment: Appointment | None) -> Outcome:
    world = World(seed, fault, appointment)
    failure = by = ""
    try:
        world.live()
        world.heal()
        check(world)
        for client in world.clients:
            client.cancel_all()
        world.schedule.run()
        check_the_end(world)
    except Violation as violation:
        failure, by = str(violation), violation.by
    except NeverAtRest as restless:
        failure, by = str(restless), "comes to rest"
    except Exception as error:  # noqa: BLE001  # whatever production code trips over is a finding of this seed
        failure, by = f"{type(error).__name__}: {error}", "nothing trips"
    schedule = world.schedule
    if appointment is not None and failure:
        failure = f"{appointment.who} {appointment.crash.value}, its commit {appointment.commit}: {failure}"
    schedule.trace.note(f"journal {world.ems.disk.digest()}")
    return Outcome(
        seed,
        schedule.trace.digest,
        schedule.steps,
        sum(len(group) for group in world.ems.disk.groups),
        world.commits,
        world.crashes,
        failure,
        by,
        list(schedule.trace.last),
    )


def everywhere(seed: int) -> Iterator[Appointment]:
    """Each way of dying around each commit that the EMS, the brokers and a client make in a small world."""
    commits = run(seed, appointment=Appointment("nobody", 0, Crash.NO)).commits
    for who in ("ems", *BROKERS, "alice"):
        for commit in range(1, commits[who] + 1):
            for crash in CRASHES:
                yield Appointment(who, commit, crash)


def _durability(schedule: Schedule) -> str:
    return schedule.dice.choice(("flush", "fsync"))


def _answer_ns(schedule: Schedule) -> int:
    """Time that the broker has for an answer: in some worlds less than it takes."""
    return schedule.dice.choice((100, 300, 2_000)) * MILLISECOND_NS


def _latency(schedule: Schedule, seed: int) -> Latency:
    """None in half of the worlds."""
    dice = schedule.dice
    if schedule.chance(0.5):
        return NONE
    submit, change, fill = (Span(0, dice.choice((0, 5, 60)) * MILLISECOND_NS) for _ in range(3))
    return Latency(submit, change, fill, seed)
