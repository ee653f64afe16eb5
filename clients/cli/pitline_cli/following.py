"""Following one order: a watch is opened before anything is asked, so that no turn of the conversation is missed."""

import asyncio
from collections.abc import AsyncGenerator
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
        in_time = True
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._take_turns(order, until, asked)
        except TimeoutError:
            in_time = False
        standing = await self._caller.get_order(OrderKey(order_id=order.order_id))
        self._output.order(standing, in_time=in_time)
        if not in_time:
            return ExitCode.TIMED_OUT
        match standing.status:
            case _ if self._is_rejected:
                return ExitCode.REJECTED
            case _ if standing.status == ORDER_STATUS_DENIED:
                return ExitCode.REFUSED
            case _ if standing.status == ORDER_STATUS_REJECTED:
                return ExitCode.REJECTED
            case _:
                return ExitCode.DONE

    async def _take_turns(self, order: OrderView, until: Wait, asked: Asked) -> None:
        while self._seen_seq < order.message.last_seq or not (
            _reached(order, until, asked) or (self._is_rejected and not _change_pending(order, asked))
        ):
            event = await anext(self._events)
            if event.HasField("snapshot_complete"):  # the watch was lost, and the EMS no longer has what it missed
                self._seen_seq = event.snapshot_complete.seq
                order = await self._caller.get_order(OrderKey(order_id=order.order_id))
            elif event.order_id == order.order_id and event.seq:
                self._output.event(event)
                self._seen_seq = event.seq
                self._judge(event, asked)
                if event.HasField("state") and event.seq > order.message.last_seq:
                    order.message.state.CopyFrom(event.state)

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


def _reached(order: OrderView, until: Wait, asked: Asked) -> bool:
    match until:
        case Wait.COMMITTED:
            return True
        case Wait.ACKED:  # what the EMS holds is acked by nobody else
            return order.ended or order.held or (order.acked and not _change_pending(order, asked))
        case Wait.DONE:
            return order.ended
