"""What goes wrong, and when: a list made from a seed. Pure."""

import random
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is done to its target."""

    KILL = "kill"
    """SIGKILL, and a new process after `seconds`."""
    FREEZE = "freeze"
    """SIGSTOP, and SIGCONT after `seconds`."""
    DELAY = "delay"
    """Every piece that runs through a proxy is held back, for `seconds`."""
    CUT = "cut"
    """A proxy's connections are reset."""
    HALF_OPEN = "half_open"
    """Nothing runs through a proxy's present connections any more, and nobody is told."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, `after_seconds` of the one before. `target` is a process, or a proxy ("clients": in
    front of the EMS, a broker: behind it).
    """

    after_seconds: float
    kind: Kind
    target: str
    seconds: float


BROKERS = ("paper", "dealer")
"""Two paper brokers, each with a market of its own."""

SERVERS = ("ems", *BROKERS)
PROCESS_FAULTS = (Kind.KILL, Kind.FREEZE)

_GAP_SECONDS = (0.3, 2.4)
"""Between two kills."""

_TRADE_SECONDS = 1.5
"""More than that after a server was killed, three times out of four: else every kill would find a stack that is still
starting, and nothing of interest under way.
"""


def planned(seed: int, kills: int, traders: tuple[str, ...]) -> list[Fault]:
    """As many kills as asked for, and about as many other faults between them. The same for the same arguments."""
    chance = random.Random(seed)
    faults: list[Fault] = []
    target = ""
    for _ in range(kills):
        gap_seconds = chance.uniform(*_GAP_SECONDS)
        if target in SERVERS and chance.random() < 0.75:
            gap_seconds += _TRADE_SECONDS
        if chance.random() < 0.7:
            faults.append(_other_fault(chance, gap_seconds / 2, traders))
            gap_seconds /= 2
        target = _process(chance, traders)
        faults.append(Fault(gap_seconds, Kind.KILL, target, chance.uniform(0, 0.8)))
    return faults


def _process(chance: random.Random, traders: tuple[str, ...]) -> str:
    return chance.choices((*SERVERS, chance.choice(traders)), (4, 3, 2, 5))[0]


def _other_fault(chance: random.Random, after_seconds: float, traders: tuple[str, ...]) -> Fault:
    kind = chance.choices((Kind.FREEZE, Kind.DELAY, Kind.CUT, Kind.HALF_OPEN), (4, 2, 2, 2))[0]
    if kind is Kind.FREEZE:
        # Mostly short: a long freeze is an outage, and there is to be some trade between two of them.
        return Fault(after_seconds, kind, _process(chance, traders), 0.1 + 4.9 * chance.random() ** 3)
    target = chance.choices(("clients", *BROKERS), (4, 1, 1))[0]
    return Fault(after_seconds, kind, target, chance.uniform(0.5, 3))


DELAY_SECONDS = 0.05
"""How long a delaying proxy holds each piece back."""
