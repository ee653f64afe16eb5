"""Linked orders as a test plays them: their owner, the broker they are at, and everything that was told, in order."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pitline.ems.v1.command_pb2 import GroupLink, Open
from pitline.types.v1.order_pb2 import TRIGGER_DIRECTION_DOWN, OrderTerms
from support.desk import Desk
from support.dialog import Client
from support.lines import kinds, lines, status_name
from support.orders import buy, dark, sell
from support.sim import Sim
from support.waiting import eventually


def entry(qty: str = "10") -> OrderTerms:
    """Buys at 100."""
    return buy(qty, "X-USD", limit="100")


def profit(qty: str = "10") -> OrderTerms:
    """Sells at 110, live at the broker."""
    return sell(qty, "X-USD", limit="110")


def held_stop(qty: str = "10") -> OrderTerms:
    """Held here: sells at 80 or better when 90 is there."""
    terms = dark(sell(qty, "X-USD", limit="80"), "90")
    terms.trigger.direction = TRIGGER_DIRECTION_DOWN
    return terms


@dataclass(slots=True)
class Family:
    """Orders of A, by their client_order_ids."""

    a: Client
    sim: Sim
    desk: Desk
    _told: int = 0
    _refs: dict[str, str] = field(default_factory=dict[str, str])

    async def told(self, *expected: str) -> None:
        """Wait for these events, and see that there are no others since those that were seen last. Positions and what
        concerns brokers are left out.
        """

        async def there() -> bool | None:
            return True if len(self._lines) >= self._told + len(expected) else None

        await eventually(there, "\n".join(expected))
        await self.a.quiet()
        assert self._lines[self._told :] == list(expected)
        self._told += len(expected)

    def seen(self) -> None:
        """What was told so far is passed over."""
        self._told = len(self._lines)

    async def ref(self, name: str) -> str:
        """The order's ref at the broker, which it has before it goes there."""
        if name not in self._refs:
            self._refs[name] = (await self.desk.order("A", name)).order_ref
        return self._refs[name]

    async def fill(self, name: str, qty: str, px: str = "100", *, exec_id: str = "") -> None:
        """The broker executes some of the order."""
        self.sim.fill(await self.ref(name), qty, px, exec_id=exec_id)

    async def stands(self, *names: str) -> list[str]:
        """Each order's status, and what is filled of its quantity."""
        states = [(await self.desk.order("A", name)).state for name in names]
        return [f"{status_name(state.status)} {state.cum_qty}/{state.order_qty}" for state in states]

    async def story(self, name: str) -> list[str]:
        """What the broker heard and said of the order."""
        return self.sim.story(await self.ref(name))

    @property
    def _lines(self) -> list[str]:
        return [line for line in lines(self.a.news) if not line.startswith(("position_", "broker_", "snapshot_"))]


@asynccontextmanager
async def family(
    sim: Sim,
    desk: Desk,
    link: GroupLink.ValueType,
    orders: Mapping[str, OrderTerms],
    *,
    first: Open | None = None,
    acked: bool = True,
) -> AsyncGenerator[Family]:
    """Orders that A has submitted together, each begun, and what is live acknowledged unless the broker holds that."""
    async with desk.client("A") if first is None else desk.attempt(first) as a:
        await a.opened()
        told = Family(a, sim, desk)
        a.submit_group("g", link, orders)
        await a.quiet()
        if acked:
            await a.counts("order_acked", kinds(a.news).count("order_routed"))
        told.seen()
        yield told
