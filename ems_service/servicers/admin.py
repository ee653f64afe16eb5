"""AdminService: what this server is and how it stands, and what operators find out and decide."""

import time
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio

from ems_service.broker_link import BrokerLink
from ems_service.convert import report
from ems_service.convert.checks import a_symbol, an_account, an_id, one_of, some_words
from ems_service.convert.scalars import set_time
from ems_service.core.events import Decision, Refusal
from ems_service.core.inputs import AcceptStore, AdoptPosition, Cause, Resolution, ResolveOrder
from ems_service.core.state import State
from ems_service.core.values import InDoubt
from ems_service.engine import Engine
from ems_service.feeds.feed import Feed
from ems_service.feeds.topic import Topic
from ems_service.servicers.streams import Streams
from ems_service.servicers.unary import PRINCIPAL, order_of, refused
from ems_service.upkeep import Upkeep
from pitline.ems.v1 import admin_service_pb2 as pb, event_pb2
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceServicer
from pitline_rpc.decimals import canonical
from pitline_rpc.status import Refused

Context = grpc.aio.ServicerContext[Any, Any]


class Admin(AdminServiceServicer):
    """Serves pitline.ems.v1.AdminService."""

    def __init__(
        self,
        engine: Engine,
        links: Mapping[str, BrokerLink],
        feeds: Mapping[str, Feed],
        streams: Streams,
        upkeep: Upkeep,
        durability: str,
        build: str,
    ) -> None:
        self._engine = engine
        self._links = links
        self._feeds = feeds
        self._streams = streams
        self._upkeep = upkeep
        self._durability = durability
        self._build = build
        self._start_ns = engine.clock.now_ns()

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        """How it stands."""
        status = await self._engine.read(self._status)
        status.attending_clients = self._streams.attending_count
        status.watchers = self._streams.watching_count
        status.notices.extend(self._upkeep.notices)
        now_s = time.monotonic()
        for _, feed in sorted(self._feeds.items()):
            status.feeds.extend(_feed_report(topic, now_s) for topic in feed.topics())
        status.notices.extend(await self._engine.read(_differences))
        return status

    async def ResolveOrder(self, request: pb.ResolveOrderRequest, context: Context) -> pb.ResolveOrderResponse:
        """The end of a doubt."""
        order_id = an_id(request.order_id, "order_id")
        resolution = one_of(Resolution, request.resolution, "resolution")
        text = some_words(request.text, "text")
        given = ResolveOrder(Cause(PRINCIPAL), order_id, resolution, text)
        order, _ = order_of(await self._engine.ask(given))
        message = await self._engine.read(lambda _: report.order_message(order))
        return pb.ResolveOrderResponse(order=message)

    async def AdoptPosition(self, request: pb.AdoptPositionRequest, context: Context) -> pb.AdoptPositionResponse:
        """The broker's quantity for ours."""
        account = an_account(request.account, "account")
        symbol = a_symbol(request.symbol, "symbol")
        _raise_refusal(await self._engine.ask(AdoptPosition(Cause(PRINCIPAL), account, symbol)))
        message = await self._engine.read(lambda state: report.position_message(state.positions[account, symbol]))
        return pb.AdoptPositionResponse(position=message)

    async def AdoptBroker(self, request: pb.AdoptBrokerRequest, context: Context) -> pb.AdoptBrokerResponse:
        """Another store behind a broker's name, or one that knows more of this journal; it is called at once."""
        name = an_id(request.broker, "broker")
        store_id = an_id(request.store_id, "store_id")
        link = self._links.get(name)
        if link is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, "UNKNOWN_ACCOUNT", f"no broker {name}", field="broker")
        if link.refused_store_id != store_id:
            text = f"store_id is {store_id}, which broker {name} was not refused for"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "TOO_LATE", text, field="store_id")
        await self._engine.ask(AcceptStore(Cause(PRINCIPAL), name, store_id, link.highest_epoch, self._build))
        # What is told from here on: the next hello binds the store.
        link.refused_store_id, link.highest_epoch, link.text = "", 0, f"store {store_id} was accepted"
        link.call_again()
        return pb.AdoptBrokerResponse(broker=await self._engine.read(lambda state: self._report(name, link, state)))

    def _status(self, state: State) -> pb.GetStatusResponse:
        status = pb.GetStatusResponse(
            build=self._build,
            journal_id=state.journal_id,
            epoch=state.epoch,
            head_seq=state.seq,
            durability=self._durability,
            open_orders=len(state.open_orders),
            orders_in_memory=len(state.orders),
            brokers=[self._report(name, link, state) for name, link in sorted(self._links.items())],
        )
        set_time(status.start_time, self._start_ns)
        set_time(status.time, self._engine.clock.now_ns())
        return status

    def _report(self, name: str, link: BrokerLink, state: State) -> pb.BrokerReport:
        answer = pb.BrokerReport(
            broker=name,
            address=link.address,
            state=event_pb2.BROKER_STATE_DOWN,
            build=link.build,
            text=link.text,
            connects=link.connects,
            refused_store_id=link.refused_store_id,
        )
        answer.in_doubt_orders = sum(
            order.state.in_doubt is not InDoubt.NONE for order in state.open_orders.values() if order.broker == name
        )
        known = state.brokers.get(name)
        if known is not None:
            answer.state = known.state  # pyright: ignore[reportAttributeAccessIssue]
            answer.store_id = known.store_id
            answer.environment = known.environment  # pyright: ignore[reportAttributeAccessIssue]
            answer.broker_seq = known.cursor
            answer.quarantined = known.quarantined
        return answer


def _differences(state: State) -> list[str]:
    """What brokers say of positions and the EMS does not, a line each."""
    return [
        f"the position of {account} in {symbol} is {_quantity(state, account, symbol)}, "
        f"and the broker says {canonical(told.signed_qty)}"
        for (account, symbol), told in sorted(state.mismatches.items())
    ]


def _quantity(state: State, account: str, symbol: str) -> str:
    position = state.positions.get((account, symbol))
    return "0" if position is None else canonical(position.signed_qty)


def _raise_refusal(decision: Decision) -> None:
    for item in decision:
        if isinstance(item, Refusal):
            raise refused(item)


def _feed_report(topic: Topic, now_s: float) -> pb.FeedReport:
    report = pb.FeedReport(
        key=topic.key, state=topic.state, updates=topic.updates, consumers=topic.consumers, depth=topic.depth
    )
    if topic.heard_s is not None:
        report.silence.FromNanoseconds(int((now_s - topic.heard_s) * 1e9))
    return report
