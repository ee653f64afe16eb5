"""A desk at one EMS: its clients, its watchers, and the unary calls that a test makes."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from pitline.ems.v1.admin_service_pb2 import BrokerReport, GetStatusRequest, GetStatusResponse
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceStub
from pitline.ems.v1.command_pb2 import Open, OrderKey, View
from pitline.ems.v1.event_pb2 import BROKER_STATE_UP, BrokerState
from pitline.ems.v1.market_data_service_pb2_grpc import MarketDataServiceStub
from pitline.ems.v1.trading_service_pb2 import (
    GetOrderRequest,
    ListOrdersRequest,
    ListPositionsRequest,
    WatchRequest,
)
from pitline.ems.v1.trading_service_pb2_grpc import TradingServiceStub
from pitline.types.v1.order_pb2 import Order
from pitline_rpc.channel import connect
from support.dialog import Client, Token, Watcher
from support.lines import position_line
from support.waiting import DEADLINE_SECONDS, eventually


class Desk:
    """People and programs at an EMS, `account` being theirs. Outlives restarts of the EMS."""

    def __init__(self, address: str, account: str) -> None:
        self.address = address
        self.account = account
        self._channel = connect(address)
        self.trading = TradingServiceStub(self._channel)
        self.market = MarketDataServiceStub(self._channel)
        self.admin = AdminServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel of the unary calls."""
        await self._channel.close()

    def client(self, client_id: str, *, resume: Token | None = None, view: View | None = None) -> Client:
        """A client; `async with` connects it and sends its open."""
        journal_id, seq = (resume.journal_id, resume.seq) if resume else ("", 0)
        return self.attempt(Open(client_id=client_id, journal_id=journal_id, resume_after_seq=seq, view=view))

    def attempt(self, first: Open) -> Client:
        """A client that begins with any open."""
        return Client(self.address, self.account, first)

    def watcher(
        self,
        client_id: str,
        *,
        resume: Token | None = None,
        view: View | None = None,
        symbols: Sequence[str] = (),
        client_ids: Sequence[str] = (),
    ) -> Watcher:
        """A Watch stream on a client's flow; `async with` connects it."""
        journal_id, seq = (resume.journal_id, resume.seq) if resume else ("", 0)
        request = WatchRequest(
            client_id=client_id,
            journal_id=journal_id,
            resume_after_seq=seq,
            view=view,
            symbols=symbols,
            client_ids=client_ids,
        )
        return Watcher(f"{client_id}'s watcher", self.address, request)

    @asynccontextmanager
    async def attending(self, *client_ids: str) -> AsyncGenerator[list[Client]]:
        """Several clients, each opened."""
        clients = [self.client(client_id) for client_id in client_ids]
        try:
            for client in clients:
                await client.__aenter__()
                await client.opened()
            yield clients
        finally:
            for client in clients:
                await client.drop()

    async def order(self, client_id: str, client_order_id: str) -> Order:
        """An order as GetOrder gives it."""
        key = OrderKey(client_order_id=client_order_id)
        return (await self.trading.GetOrder(GetOrderRequest(client_id=client_id, order=key))).order

    async def open_orders(self) -> list[str]:
        """The client_order_ids of what has not ended, newest first."""
        response = await self.trading.ListOrders(ListOrdersRequest(open_only=True))
        return [order.client_order_id for order in response.orders]

    async def positions(self) -> list[str]:
        """Positions that are not flat, as lines."""
        response = await self.trading.ListPositions(ListPositionsRequest())
        return [position_line(position) for position in response.positions]

    async def status(self) -> GetStatusResponse:
        """What the EMS says of itself."""
        return await self.admin.GetStatus(GetStatusRequest(), wait_for_ready=True, timeout=DEADLINE_SECONDS)

    async def broker(self) -> BrokerReport:
        """What the EMS says of the account's broker."""
        name = self.account.partition(".")[0]
        return next(report for report in (await self.status()).brokers if report.broker == name)

    async def until_broker(self, state: BrokerState.ValueType = BROKER_STATE_UP) -> None:
        """Wait until the EMS says so of its broker: a state as such is told to nobody who comes later."""

        async def reached() -> bool | None:
            return True if (await self.broker()).state == state else None

        await eventually(reached, f"the broker is {BrokerState.Name(state)}")

    async def until_stored(self, broker_seq: int) -> None:
        """Wait until the EMS has stored what its broker said up to here."""

        async def stored() -> bool | None:
            return True if (await self.broker()).broker_seq >= broker_seq else None

        await eventually(stored, f"broker_seq {broker_seq} is stored")
