"""Following an order, or several that were submitted together: a watch is opened before anything is asked, so that no
turn of the conversation is missed."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Self

from pitline.ems.v1.command_pb2 import OrderKey
from pitline.ems.v1.event_pb2 import Event
from pitline.types.v1.order_pb2 import ORDER_STATUS_DENIED, ORDER_STATUS_PENDING_REPLACE, ORDER_STATUS_REJECTED
from pitline_cli.arguments import Wait
from pitline_cli.exits import ExitCode
from pitline_cli.output import Output
from pitline_client import OWN, Caller, OrderView, of_accounts


class Asked(Enum):
    """What was asked of the order that is followed."""

    SUBMIT = auto()
    MODIFY = auto()
    CANCEL = auto()


@dataclass(slots=True)
class _Followed:
    """An order as far as it is known, and what is waited for."""

    order: OrderView
    until: Wait

    def reached(self, asked: Asked) -> bool:
        order = self.order
        match self.until:
            case Wait.COMMITTED:
                return True
            case Wait.ACKED:  # what the EMS holds is acked by nobody else
                return order.ended or order.held or (order.acked and not _change_pending(order, asked))
            case Wait.DONE:
                return order.ended


class Follower:
    """Watches the caller's own orders, or those of `account`, from where the block begins.

    `timeout_seconds` is the time for the whole block.
    """

    def __init__(self, caller: Caller, output: Output, timeout_seconds: float, account: str | None = None) -> None:
        self._caller = caller
        self._output = output
        self._deadline = asyncio.get_running_loop().time() + timeout_seconds
        self._events: AsyncGenerator[Event] = caller.watch(view=of_accounts(account) if account else OWN)
        self._seen_seq = 0
        self._is_rejected = False
        self._parts: set[str] = set()

    async def __aenter__(self) -> Self:
        async for event in self._events:
            if event.HasField("snapshot_complete"):
                self._seen_seq = event.snapshot_complete.seq
                break
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._events.aclose()

    async def follow(self, order: OrderView, until: Wait, asked: Asked = Asked.SUBMIT) -> ExitCode:
        """Print what happens to the order until it is where it was waited for, then how it stands; the exit code.

        A modify or cancel that was asked and is rejected is an end as well.
        """
        return await self._follow([_Followed(order, until)], asked)

    async def follow_all(self, orders: Sequence[OrderView], until: Wait) -> ExitCode:
        """The same of several orders that were submitted together; the first exit code that is not DONE."""
        return await self._follow([_Followed(order, until) for order in orders], Asked.SUBMIT)

    async def _follow(self, orders: list[_Followed], asked: Asked) -> ExitCode:
        in_time = True
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._take_turns({each.order.order_id: each for each in orders}, asked)
        except TimeoutError:
            in_time = False
        codes: list[ExitCode] = []
        for each in orders:
            standing = await self._caller.get_order(OrderKey(order_id=each.order.order_id))
            self._output.order(standing, in_time=in_time)
            codes.append(self._exit_code(standing, in_time=in_time))
        return next((code for code in codes if code is not ExitCode.DONE), ExitCode.DONE)

    def _exit_code(self, standing: OrderView, *, in_time: bool) -> ExitCode:
        if not in_time:
            return ExitCode.TIMED_OUT
        if self._is_rejected or standing.status == ORDER_STATUS_REJECTED:
            return ExitCode.REJECTED
        return ExitCode.REFUSED if standing.status == ORDER_STATUS_DENIED else ExitCode.DONE

    async def _take_turns(self, orders: dict[str, _Followed], asked: Asked) -> None:
        while self._seen_seq < max(each.order.message.last_seq for each in orders.values()) or not all(
            each.reached(asked) or (self._is_rejected and not _change_pending(each.order, asked))
            for each in orders.values()
        ):
            event = await anext(self._events)
            if event.HasField("snapshot_complete"):  # the watch was lost, and the EMS no longer has what it missed
                self._seen_seq = event.snapshot_complete.seq
                for each in orders.values():
                    each.order = await self._caller.get_order(OrderKey(order_id=each.order.order_id))
            elif event.seq and any(self._is_part(event, each.order) for each in orders.values()):
                self._output.event(event)
                self._seen_seq = event.seq
            elif event.order_id in orders and event.seq:
                self._output.event(event)
                self._seen_seq = event.seq
                self._judge(event, asked)
                message = orders[event.order_id].order.message
                if event.HasField("state") and event.seq > message.last_seq:
                    message.state.CopyFrom(event.state)

    def _is_part(self, event: Event, order: OrderView) -> bool:
        """It is about an order that this one was split into."""
        if event.HasField("order_routed") and event.order_routed.parent_order_id == order.order_id:
            self._parts.add(event.order_id)
        return event.order_id in self._parts or event.order_id in order.message.child_order_ids

    def _judge(self, event: Event, asked: Asked) -> None:
        match asked:
            case Asked.MODIFY:
                # An earlier modify, somebody's, may be answered first: the last answer is that of ours.
                if event.HasField("modify_rejected") or event.HasField("order_modified"):
                    self._is_rejected = event.HasField("modify_rejected")
            case Asked.CANCEL:
                self._is_rejected = self._is_rejected or event.HasField("cancel_rejected")
            case Asked.SUBMIT:
                pass


def _change_pending(order: OrderView, asked: Asked) -> bool:
    """A modify was asked, and the broker has not answered it."""
    state = order.message.state
    return asked is Asked.MODIFY and (state.modify_stashed or state.status == ORDER_STATUS_PENDING_REPLACE)
