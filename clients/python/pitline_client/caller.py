"""Everything that needs no attendance: single calls, watches and quotes. `Client` is a caller that attends as well.

Calls name the client id as the owner of orders and never attend: nobody who attends under the same id is superseded.
"""

from __future__ import annotations  # gRPC's types are generic in their stubs only

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

import grpc.aio

from pitline.ems.v1.admin_service_pb2 import (
    AdoptBrokerRequest,
    AdoptPositionRequest,
    GetStatusRequest,
    GetStatusResponse,
    Resolution,
    ResolveOrderRequest,
)
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceStub
from pitline.ems.v1.command_pb2 import Cancel, CancelGroup, Modify, OrderKey, OrderSelection, Submit, SubmitGroup, View
from pitline.ems.v1.event_pb2 import Event, GroupStatus
from pitline.ems.v1.market_data_service_pb2 import ListInstrumentsRequest, QuotesRequest, Subscription
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceStub
from pitline.ems.v1.trading_service_pb2 import (
    WAIT_FOR_COMMITTED,
    CancelOrderRequest,
    CancelOrdersRequest,
    GetGroupRequest,
    GetOrderRequest,
    ListAccountsRequest,
    ListOrdersRequest,
    ListPositionsRequest,
    ModifyOrderRequest,
    SubmitOrderRequest,
    SubmitOrderResponse,
    SubmitOrdersRequest,
    SubmitResult,
    WaitFor,
    WatchRequest,
)
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub
from pitline.types.v1.account_pb2 import Account
from pitline.types.v1.instrument_pb2 import Instrument, InstrumentKey
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline_client.errors import AmbiguousSymbolError, UnknownSymbolError
from pitline_client.intake import ResumeToken
from pitline_client.limits import CALL_SECONDS_MAX
from pitline_client.retry import error_of
from pitline_client.streams import quotes, watch
from pitline_client.terms import OWN
from pitline_client.views import OrderView, PositionView
from pitline_rpc.channel import connect

AnswerT = TypeVar("AnswerT")

_PAGE_SIZE = 1_000  # the largest that the contract allows


class Caller:
    """Calls of one client id to the EMS at one address, "host:port".

    Every method raises UnreachableError when nobody answers, and CallRefusedError (reason, field, text) when the EMS
    refuses. No call is repeated by itself.
    """

    def __init__(self, address: str, client_id: str) -> None:
        self.address = address
        self.client_id = client_id
        self._channel = connect(address)
        self._trading = TradingServiceStub(self._channel)
        self._market_data = MarketDataServiceStub(self._channel)
        self._admin = AdminServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def submit_order(
        self,
        submit: Submit,
        *,
        wait_for: WaitFor.ValueType = WAIT_FOR_COMMITTED,
        timeout_seconds: float = CALL_SECONDS_MAX,
    ) -> SubmitOrderResponse:
        """Submit one order; the order as it stands when it is stored, acked or done, or when the time is over.

        A denied or a rejected order is a state of the order that comes back, not an error.
        """
        request = SubmitOrderRequest(client_id=self.client_id, submit=submit, wait_for=wait_for)
        return await self._answer(self._trading.SubmitOrder(request, timeout=timeout_seconds))

    async def modify_order(
        self,
        modify: Modify,
        *,
        wait_for: WaitFor.ValueType = WAIT_FOR_COMMITTED,
        timeout_seconds: float = CALL_SECONDS_MAX,
    ) -> OrderView:
        """Give one order new terms, anybody's that this caller may modify; the order as it stands then."""
        request = ModifyOrderRequest(client_id=self.client_id, modify=modify, wait_for=wait_for)
        response = await self._answer(self._trading.ModifyOrder(request, timeout=timeout_seconds))
        return OrderView(response.order)

    async def cancel_order(
        self,
        order: OrderKey,
        *,
        wait_for: WaitFor.ValueType = WAIT_FOR_COMMITTED,
        timeout_seconds: float = CALL_SECONDS_MAX,
    ) -> OrderView:
        """Cancel one order, anybody's that this caller may cancel; the order as it stands then."""
        request = CancelOrderRequest(client_id=self.client_id, cancel=Cancel(order=order), wait_for=wait_for)
        response = await self._answer(self._trading.CancelOrder(request, timeout=timeout_seconds))
        return OrderView(response.order)

    async def submit_orders(
        self,
        group: SubmitGroup,
        *,
        wait_for: WaitFor.ValueType = WAIT_FOR_COMMITTED,
        timeout_seconds: float = CALL_SECONDS_MAX,
    ) -> list[SubmitResult]:
        """Submit several orders, linked or as a basket; what became of each when it is stored, acked or done, or when
        the time is over. Linked ones are taken together, or the call is refused."""
        request = SubmitOrdersRequest(client_id=self.client_id, submit_group=group, wait_for=wait_for)
        return list((await self._answer(self._trading.SubmitOrders(request, timeout=timeout_seconds))).results)

    async def cancel_orders(
        self,
        group_id: str,
        selection: OrderSelection,
        *,
        deadline_seconds: int = 0,
        wait_for: WaitFor.ValueType = WAIT_FOR_COMMITTED,
        timeout_seconds: float = CALL_SECONDS_MAX,
    ) -> GroupStatus:
        """Cancel every order that matches the selection now; how the group stands when it is stored or, waiting for
        DONE, finished. The same id with the same selection cancels nothing more. After `deadline_seconds` (1 to 3600;
        0: 30) it is finished in any case."""
        group = CancelGroup(group_id=group_id, selection=selection, deadline_seconds=deadline_seconds)
        request = CancelOrdersRequest(client_id=self.client_id, cancel_group=group, wait_for=wait_for)
        return (await self._answer(self._trading.CancelOrders(request, timeout=timeout_seconds))).status

    async def get_group(self, group_id: str) -> GroupStatus:
        """How a group of this client id stands."""
        request = GetGroupRequest(client_id=self.client_id, group_id=group_id)
        return (await self._answer(self._trading.GetGroup(request, timeout=CALL_SECONDS_MAX))).status

    async def follow_group(self, group_id: str) -> AsyncGenerator[GroupStatus]:
        """How a group of this client id stands now and after every change, until it is finished. Pending members only
        become fewer."""
        pending: int | None = None
        async with aclosing(self.watch()) as events:
            async for event in events:
                if event.HasField("snapshot_complete"):  # the watch has begun, or begins again: nothing is missed now
                    status = await self.get_group(group_id)
                elif event.HasField("group_status") and event.group_status.group_id == group_id:
                    status = event.group_status
                else:
                    continue
                if pending is None or status.pending < pending or status.finished:
                    pending = status.pending
                    yield status
                if status.finished:
                    return

    async def get_order(self, order: OrderKey) -> OrderView:
        """One order as it stands, ended ones too."""
        response = await self._answer(
            self._trading.GetOrder(GetOrderRequest(client_id=self.client_id, order=order), timeout=CALL_SECONDS_MAX)
        )
        return OrderView(response.order)

    async def list_orders(
        self,
        *,
        client_ids: Sequence[str] = (),
        accounts: Sequence[str] = (),
        symbols: Sequence[str] = (),
        open_only: bool = False,
    ) -> AsyncGenerator[OrderView]:
        """Orders, newest first, read page by page as they are asked for. An empty filter lets all pass."""
        request = ListOrdersRequest(
            client_ids=client_ids, accounts=accounts, symbols=symbols, open_only=open_only, page_size=_PAGE_SIZE
        )
        while True:
            page = await self._answer(self._trading.ListOrders(request, timeout=CALL_SECONDS_MAX))
            for order in page.orders:
                yield OrderView(order)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def list_positions(
        self, *, accounts: Sequence[str] = (), symbols: Sequence[str] = (), include_flat: bool = False
    ) -> list[PositionView]:
        """Positions by account, then symbol."""
        request = ListPositionsRequest(
            accounts=accounts, symbols=symbols, include_flat=include_flat, page_size=_PAGE_SIZE
        )
        positions: list[PositionView] = []
        while True:
            page = await self._answer(self._trading.ListPositions(request, timeout=CALL_SECONDS_MAX))
            positions += (PositionView(position) for position in page.positions)
            if not page.next_page_token:
                return positions
            request.page_token = page.next_page_token

    async def list_accounts(self) -> list[Account]:
        """Accounts that the caller may see, by name."""
        response = await self._answer(self._trading.ListAccounts(ListAccountsRequest(), timeout=CALL_SECONDS_MAX))
        return list(response.accounts)

    async def list_instruments(self, *, broker: str = "", symbol_prefix: str = "") -> list[Instrument]:
        """Instruments by broker, then symbol; of one broker or all, whose symbol starts with the prefix."""
        request = ListInstrumentsRequest(broker=broker, symbol_prefix=symbol_prefix, page_size=_PAGE_SIZE)
        instruments: list[Instrument] = []
        while True:
            page = await self._answer(self._market_data.ListInstruments(request, timeout=CALL_SECONDS_MAX))
            instruments.extend(page.instruments)
            if not page.next_page_token:
                return instruments
            request.page_token = page.next_page_token

    async def status(self) -> GetStatusResponse:
        """What the EMS is and how it stands, its brokers included."""
        return await self._answer(self._admin.GetStatus(GetStatusRequest(), timeout=CALL_SECONDS_MAX))

    async def resolve_order(self, order_id: str, resolution: Resolution.ValueType, text: str) -> OrderView:
        """End the doubt about an order by what was found out; `text`, 1 to 256 characters, says how it is known."""
        request = ResolveOrderRequest(order_id=order_id, resolution=resolution, text=text)
        response = await self._answer(self._admin.ResolveOrder(request, timeout=CALL_SECONDS_MAX))
        return OrderView(response.order)

    async def adopt_broker(self, broker: str, store_id: str) -> None:
        """Accept the store that was refused behind a broker's name."""
        request = AdoptBrokerRequest(broker=broker, store_id=store_id)
        await self._answer(self._admin.AdoptBroker(request, timeout=CALL_SECONDS_MAX))

    async def adopt_position(self, account: str, symbol: str) -> PositionView:
        """Take the quantity that the broker reports for ours."""
        request = AdoptPositionRequest(account=account, symbol=symbol)
        response = await self._answer(self._admin.AdoptPosition(request, timeout=CALL_SECONDS_MAX))
        return PositionView(response.position)

    async def market_key(self, symbol: str) -> InstrumentKey:
        """Which market is meant by "BTC-USDT" or, where several brokers have it, "paper:BTC-USDT".

        Raises UnknownSymbolError, and AmbiguousSymbolError with the choices.
        """
        broker, colon, bare = symbol.rpartition(":")
        if colon:
            return InstrumentKey(broker=broker, symbol=bare)
        found = [i.key for i in await self.list_instruments(symbol_prefix=symbol) if i.key.symbol == symbol]
        match found:
            case [key]:
                return key
            case []:
                raise UnknownSymbolError(f"no broker trades {symbol}")
            case _:
                raise AmbiguousSymbolError(symbol, [f"{key.broker}:{key.symbol}" for key in found])

    async def quotes(
        self, symbols: Sequence[str], *, throttle_hz: float = 0, depth: int = 0, trades: bool = False
    ) -> AsyncGenerator[MarketUpdate]:
        """Updates of these markets from the last known state on; after a lost stream again from the last known state.

        `throttle_hz` > 0 to 1,000 conflates to at most so many updates a second; `depth` 2 to 1,000 levels brings
        books; `trades` brings trades.
        """
        subscriptions = [
            Subscription(key=await self.market_key(symbol), throttle_hz=throttle_hz, depth=depth, trades=trades)
            for symbol in symbols
        ]
        request = QuotesRequest(subscriptions=subscriptions)
        async with aclosing(quotes(self._market_data, self.address, request)) as updates:
            async for update in updates:
                yield update

    def watch(
        self,
        *,
        view: View = OWN,
        symbols: Sequence[str] = (),
        client_ids: Sequence[str] = (),
        resume: ResumeToken | None = None,
    ) -> AsyncGenerator[Event]:
        """Events without attendance, each once and in order over any number of lost streams.

        Begins with `opened` and a snapshot, or with what happened after `resume`. Filters leave out other symbols and
        other owners.
        """
        request = WatchRequest(client_id=self.client_id, view=view, symbols=symbols, client_ids=client_ids)
        return watch(self._trading, self.address, request, resume)

    async def _answer(self, call: Awaitable[AnswerT]) -> AnswerT:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise error_of(error, self.address) from None
