"""TradingService: the two-way stream, its unary twins, and reads."""

import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from ems_service.archive import Archive
from ems_service.convert import command, report
from ems_service.convert.checks import (
    a_filter,
    a_symbol,
    an_account,
    an_id,
    an_id_or_none,
    one_of,
    page_size,
    page_token,
)
from ems_service.convert.group import cancel_group
from ems_service.convert.submit_group import submit_group
from ems_service.core.events import Decision
from ems_service.core.inputs import Cancel, CancelGroup, Cause, Modify, Submit, SubmitGroup
from ems_service.core.state import State
from ems_service.dark_feed import DarkFeed
from ems_service.engine import Engine
from ems_service.limits import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from ems_service.publisher import Publisher
from ems_service.servicers.budget import Budget
from ems_service.servicers.departures import Departures
from ems_service.servicers.event_stream import EventStream
from ems_service.servicers.opening import begin, check
from ems_service.servicers.order_pages import OrderPages, Wanted
from ems_service.servicers.position_pages import PAGE_TOKEN as POSITIONS_TOKEN, WantedPositions, positions_page
from ems_service.servicers.streams import Streams
from ems_service.servicers.subscription import watching_of
from ems_service.servicers.trade import Trade
from ems_service.servicers.unary import PRINCIPAL, WaitFor, all_settled, group_settled, group_status, settled
from pitline.ems.v1 import trading_service_pb2 as pb
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceServicer
from pitline_rpc.status import Refused

Context = grpc.aio.ServicerContext[Any, Any]

_PAGE_TOKEN = re.compile("[0-9]{1,19}")


class Trading(TradingServiceServicer):
    """Serves pitline.ems.v1.TradingService."""

    def __init__(
        self,
        engine: Engine,
        publisher: Publisher,
        streams: Streams,
        departures: Departures,
        archive: Archive,
        dark_feed: DarkFeed,
    ) -> None:
        self._engine = engine
        self._dark_feed = dark_feed
        self._publisher = publisher
        self._streams = streams
        self._departures = departures
        self._pages = OrderPages(engine, archive)
        self._budget = Budget()

    # Trade and Watch write to the context: the stubs know only generators, which cost every message a second frame.

    async def Trade(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request_iterator: AsyncIterator[pb.TradeRequest], context: Context
    ) -> None:
        """The two-way stream."""
        await Trade(
            request_iterator,
            context,
            self._engine,
            self._publisher,
            self._streams,
            self._departures,
            self._dark_feed,
            PRINCIPAL,
        ).run()

    async def Watch(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: pb.WatchRequest, context: Context
    ) -> None:
        """The same events, no commands."""
        opening = watching_of(request, PRINCIPAL)
        await check(opening.view, "", self._engine)
        stream = EventStream(opening.view, context.write, self._publisher, self._engine.clock)
        with self._streams.watching(stream):
            await begin(stream, opening.token, self._engine, self._publisher)
            await stream.run(opening.heartbeat_seconds)

    async def SubmitOrder(self, request: pb.SubmitOrderRequest, context: Context) -> pb.SubmitOrderResponse:
        """A new order."""
        given, wait_for = command.submit(request.submit, _cause(request)), _wait_for(request.wait_for)
        decision = await self._decided(given, "submit")
        order, duplicate = await settled(self._engine, decision, wait_for, context)
        return pb.SubmitOrderResponse(order=order, duplicate=duplicate)

    async def SubmitOrders(self, request: pb.SubmitOrdersRequest, context: Context) -> pb.SubmitOrdersResponse:
        """Several new orders."""
        given, wait_for = submit_group(request.submit_group, _cause(request)), _wait_for(request.wait_for)
        decision = await self._decided(given, "submit_group")
        results = await all_settled(self._engine, given, decision, wait_for, context)
        return pb.SubmitOrdersResponse(results=results)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        """A cancel of one order."""
        given, wait_for = command.cancel(request.cancel, _cause(request)), _wait_for(request.wait_for)
        order, _ = await settled(self._engine, await self._decided(given, "cancel"), wait_for, context)
        return pb.CancelOrderResponse(order=order)

    async def ModifyOrder(self, request: pb.ModifyOrderRequest, context: Context) -> pb.ModifyOrderResponse:
        """New terms of one order."""
        given, wait_for = command.modify(request.modify, _cause(request)), _wait_for(request.wait_for)
        order, _ = await settled(self._engine, await self._decided(given, "modify"), wait_for, context)
        return pb.ModifyOrderResponse(order=order)

    async def CancelOrders(self, request: pb.CancelOrdersRequest, context: Context) -> pb.CancelOrdersResponse:
        """A cancel of several orders."""
        given, wait_for = cancel_group(request.cancel_group, _cause(request)), _wait_for(request.wait_for)
        decision = await self._decided(given, "cancel_group")
        status = await group_settled(self._engine, given, decision, wait_for, context)
        return pb.CancelOrdersResponse(status=status)

    async def _decided(self, given: Submit | SubmitGroup | Modify | Cancel | CancelGroup, kind: str) -> Decision:
        """What a command led to, committed. Waits for room and, where it has to be judged by one, for a first price."""
        with self._budget.spent(given.cause.client_id, kind, cancels=isinstance(given, Cancel | CancelGroup)):
            await self._engine.room()
            if isinstance(given, Submit | SubmitGroup):
                await self._dark_feed.first_prices(given)
            return await self._engine.ask(given)

    async def GetGroup(self, request: pb.GetGroupRequest, context: Context) -> pb.GetGroupResponse:
        """A group of cancels."""
        group_id = an_id(request.group_id, "group_id")
        key = (PRINCIPAL, an_id(request.client_id, "client_id"), group_id)
        status = await self._engine.read_for_client(lambda state: group_status(state, key))
        if status is None:
            text = f"no group {group_id} of {request.client_id}"
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_GROUP", text, field="group_id")
        return pb.GetGroupResponse(status=status)

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        """One order."""
        key = command.order_key(request.order, "order", an_id_or_none(request.client_id, "client_id"))
        found = await self._pages.one(key, PRINCIPAL)
        if found is None:
            text = f"no order {key.order_id or key.client_order_id}"
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_ORDER", text, field="order")
        return pb.GetOrderResponse(order=found)

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        """Orders, newest first; the page token is the order number below which the page begins."""
        size = page_size(request.page_size, "page_size", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        token = page_token(request.page_token, "page_token", _PAGE_TOKEN)
        below = int(token) if token else None
        client_ids = a_filter(request.client_ids, "client_ids", an_id)
        accounts = a_filter(request.accounts, "accounts", an_account)
        symbols = a_filter(request.symbols, "symbols", a_symbol)
        wanted = Wanted(PRINCIPAL, below, size, request.open_only, client_ids, accounts, symbols)
        return await self._pages.page(wanted)

    async def ListPositions(self, request: pb.ListPositionsRequest, context: Context) -> pb.ListPositionsResponse:
        """Positions, by account and symbol, page by page."""
        size = page_size(request.page_size, "page_size", PAGE_SIZE_MAX, PAGE_SIZE_MAX)
        token = page_token(request.page_token, "page_token", POSITIONS_TOKEN)
        accounts = a_filter(request.accounts, "accounts", an_account)
        symbols = a_filter(request.symbols, "symbols", a_symbol)

        def unknown(state: State) -> str | None:
            return next((account for account in sorted(accounts) if state.broker_of(account) is None), None)

        nobodys = await self._engine.read_for_client(unknown)
        if nobodys is not None:
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_ACCOUNT", f"no account {nobodys}", field="accounts")
        return await positions_page(WantedPositions(token, size, request.include_flat, accounts, symbols), self._engine)

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        """Accounts, by name."""
        return await self._engine.read_for_client(
            lambda state: pb.ListAccountsResponse(accounts=report.accounts(state))
        )


def _cause(
    request: pb.SubmitOrderRequest
    | pb.SubmitOrdersRequest
    | pb.ModifyOrderRequest
    | pb.CancelOrderRequest
    | pb.CancelOrdersRequest,
) -> Cause:
    client_id = an_id(request.client_id, "client_id")
    return Cause(PRINCIPAL, client_id, an_id_or_none(request.command_id, "command_id"))


def _wait_for(value: int) -> WaitFor:
    return one_of(WaitFor, value, "wait_for", default=WaitFor.COMMITTED)
