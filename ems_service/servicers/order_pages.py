"""Reads of single orders and pages of them, from memory and from the archive.

The engine is asked twice for a page, each time for a moment: which orders there are, and then how those of the page
stand. What is looked through in between holds nobody up. Invariant: what is told is committed, and an order that leaves
memory meanwhile is found in the archive.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from ems_service.archive import Archive
from ems_service.convert import report
from ems_service.core.inputs import OrderKey
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.engine import Engine
from ems_service.limits import ENCODE_MAX, PAGE_BYTES_MAX
from pitline.ems.v1 import trading_service_pb2 as pb
from pitline.types.v1 import order_pb2


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders, and which page of them: at most `size` with a number below `below`, newest first."""

    principal: str
    below: int | None
    size: int
    open_only: bool
    client_ids: frozenset[str]
    accounts: frozenset[str]
    symbols: frozenset[str]

    def takes(self, order: Order) -> bool:
        """By what never changes of an order."""
        return (
            (self.below is None or order.number < self.below)
            and (order.external or order.principal == self.principal)
            and (not self.client_ids or order.client_id in self.client_ids)
            and (not self.accounts or order.terms.account in self.accounts)
            and (not self.symbols or order.terms.symbol in self.symbols)
        )


class OrderPages:
    """Finds orders wherever they are."""

    def __init__(self, engine: Engine, archive: Archive) -> None:
        self._engine = engine
        self._archive = archive

    async def one(self, key: OrderKey, principal: str) -> order_pb2.Order | None:
        """The order that the principal means; None when there is none, or none that it may see."""

        def look(state: State) -> order_pb2.Order | int | None:
            order = state.find(key, principal)
            return state.number_of_id(key.order_id) if order is None else report.order_message(order)

        found = await self._engine.read_for_client(look)
        if isinstance(found, order_pb2.Order):
            return found
        # It was not in memory: what is in the archive is how it stood then.
        if key.order_id:
            archived = None if found is None else self._archive.by_number(found)
        else:
            archived = self._archive.by_client(principal, key.client_id, key.client_order_id)
        if archived is None or archived[0].principal != principal:
            return None
        return report.order_message(archived[0])

    async def page(self, wanted: Wanted) -> pb.ListOrdersResponse:
        """A page, and where the next one begins if there is one."""
        orders, further = await self._newest(wanted)
        page = pb.ListOrdersResponse()
        page_bytes = 0
        for start in range(0, min(len(orders), wanted.size), ENCODE_MAX):
            some = orders[start : min(start + ENCODE_MAX, wanted.size)]
            for number, message in await self._engine.read_for_client(
                lambda _, some=some: _encoded(some, wanted.open_only)
            ):
                page_bytes += message.ByteSize()
                if page_bytes > PAGE_BYTES_MAX:
                    page.next_page_token = str(number + 1)
                    return page
                page.orders.append(message)
        if len(orders) > wanted.size:
            further = orders[wanted.size - 1].number
        if further is not None:
            page.next_page_token = str(further)
        return page

    async def _newest(self, wanted: Wanted) -> tuple[list[Order], int | None]:
        """The orders of a page and one more if there is one, and where to look further if that is not all."""

        def in_memory(state: State) -> list[Order]:
            return list((state.open_orders if wanted.open_only else state.orders).values())

        def taken(orders: list[Order]) -> dict[int, Order]:
            return {order.number: order for order in orders if wanted.takes(order)}

        found = taken(await self._engine.read_for_client(in_memory))
        further = None
        if not wanted.open_only:
            filters = (wanted.client_ids, wanted.accounts, wanted.symbols)
            look = partial(self._archive.page, wanted.principal, wanted.below, wanted.size + 1, *filters)
            archived, further = await asyncio.to_thread(look)
            for order in archived:
                found.setdefault(order.number, order)  # what is in memory is newer
        numbers = sorted(found, reverse=True)
        if further is not None:  # of what lies below, the archive was not looked through
            numbers = [number for number in numbers if number >= further]
        return [found[number] for number in numbers[: wanted.size + 1]], further


def _encoded(orders: Iterable[Order], open_only: bool) -> list[tuple[int, order_pb2.Order]]:
    return [(order.number, report.order_message(order)) for order in orders if order.state.is_open or not open_only]
