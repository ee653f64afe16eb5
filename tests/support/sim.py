"""`sim`: a broker that does what the test says, over a real socket.

Left alone it takes every order, acknowledges it at once and lets it rest; everything else happens because a test said
so. It keeps a truthful record of what it was asked, and a dense log of what it said, from which it answers a hello.
"""

import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal

import grpc
import grpc.aio
from google.protobuf.text_format import MessageToString

from pitline.broker.v1.broker_service_pb2_grpc import add_BrokerServiceServicer_to_server
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.event_pb2 import (
    FATE_CANCELED,
    FATE_EXPIRED,
    FATE_NEVER_RECEIVED,
    FATE_REJECTED,
    FATE_WORKING,
    Ack,
    BalanceReport,
    BrokerEvent,
    BrokerHeartbeat,
    Canceled,
    CancelRejected,
    Expired,
    ExternalOrder,
    HelloAck,
    Modified,
    ModifyRejected,
    OrderFill,
    PositionReport,
    RecoverEnd,
    RefState,
    Rejected,
    ReportEnd,
    TradeCanceled,
    TradeCorrected,
)
from pitline.broker.v1.request_pb2 import (
    REPORT_KIND_OPEN_ORDERS,
    REPORT_KIND_POSITIONS,
    BrokerRequest,
    CancelOrder,
    Hello,
    ModifyOrder,
    NewOrder,
    ReportKind,
)
from pitline.types.v1.account_pb2 import ENVIRONMENT_PAPER, Account, Environment
from pitline.types.v1.execution_pb2 import Fill
from pitline.types.v1.money_pb2 import Money
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    SIDE_BUY,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_GTD,
    TIME_IN_FORCE_IOC,
    OrderTerms,
    Side,
)
from pitline.types.v1.reason_pb2 import (
    REASON_BROKER_REJECTED,
    REASON_TOO_LATE,
    REASON_UNKNOWN_ORDER,
    REASON_UNSPECIFIED,
    Reason,
)
from pitline_rpc.channel import SERVER_OPTIONS
from pitline_rpc.decimals import canonical
from support.sim_market import SimMarket, now
from support.sim_order import SimOrder
from support.sim_streams import SimServicer, TradesStream
from support.waiting import Changes

CAPABILITIES = Capabilities(
    idempotent_submit=True,
    query_by_ref=True,
    exec_since=True,
    position_report=True,
    modify=True,
    ord_types=[ORD_TYPE_LIMIT, ORD_TYPE_MARKET],
    times_in_force=[TIME_IN_FORCE_DAY, TIME_IN_FORCE_GTC],
)
"""A plain broker: it modifies, and declares no time in force nor instruction that a broker may lack."""


def declaring_everything() -> Capabilities:
    """What a broker declares that takes every kind of order, time in force and instruction."""
    everything = Capabilities()
    everything.CopyFrom(CAPABILITIES)
    everything.ord_types.extend([ORD_TYPE_STOP, ORD_TYPE_STOP_LIMIT])
    everything.times_in_force.extend([TIME_IN_FORCE_IOC, TIME_IN_FORCE_FOK, TIME_IN_FORCE_GTD])
    everything.exec_insts.extend([EXEC_INST_POST_ONLY, EXEC_INST_REDUCE_ONLY])
    return everything


class Sim:
    """A scripted broker; `async with Sim() as sim` serves it on a port of its own.

    The verbs (ack, reject, fill, cancel, refuse_cancel, expire, modify, refuse_modify, restate, repeat, send) judge
    nothing: a fill before the ack, after a cancel or beyond the quantity is what the test wants. What is said while no
    EMS listens is in the log, and comes in recovery.
    """

    def __init__(self, capabilities: Capabilities = CAPABILITIES, accounts: Sequence[str] = ("main",)) -> None:
        self.capabilities = capabilities
        self.store_id = f"sim-{uuid.uuid4().hex[:12]}"
        self.environment: Environment.ValueType = ENVIRONMENT_PAPER
        self.accounts = [Account(account=a, environment=ENVIRONMENT_PAPER, base_currency="USD") for a in accounts]
        self.market = SimMarket()
        # What recovery reports beside the log; a test changes them before the EMS says hello. Without positions: the
        # sums of the fills.
        self.positions: list[PositionReport] = []
        self.balances: list[BalanceReport] = []
        self.fates: dict[str, RefState] = {}
        self.externals: list[ExternalOrder] = []
        self.other_journal_ids: list[str] = []
        # The record.
        self.requests: list[BrokerRequest] = []
        self.log: list[BrokerEvent] = []
        self.orders: dict[str, SimOrder] = {}
        self.trades_streams_opened = 0
        self.trades_streams: list[TradesStream] = []
        self._story: list[tuple[str, str]] = []
        self._read: dict[str, int] = {}
        self._epochs: dict[tuple[str, str], int] = {}
        self._holding_acks = False
        self._holding_cancels = False
        self._holding_modifies = False
        self._on_ordered: Callable[[str], None] | None = None
        self._on_modifying: Callable[[str], None] | None = None
        self._losing_orders = False
        self._mute = False
        self._frozen = False
        self._delivering = True
        self._changes = Changes(self._shown)
        self._server: grpc.aio.Server | None = None
        self._port = 0

    # Serving

    @property
    def address(self) -> str:
        """Where it listens, the same after a stop and a start."""
        return f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> "Sim":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        assert self._server is None, "started already"
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        add_BrokerServiceServicer_to_server(SimServicer(self, self.market), self._server)
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        await self._server.start()

    async def stop(self) -> None:
        """Be gone at once, streams and all. The log and the orders are kept."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)

    def drop_stream(self) -> None:
        """Cut the trades stream; a new one is taken at once."""
        for stream in self.trades_streams:
            stream.end(grpc.StatusCode.UNAVAILABLE, "dropped by the test")

    # What to do when asked

    def hold_acks(self) -> None:
        """From now on new orders wait for `ack` or `reject`."""
        self._holding_acks = True

    def lose_orders(self) -> None:
        """Until the next hello new orders are lost on their way: recorded among the requests, and never received."""
        self._losing_orders = True

    def find_orders(self) -> None:
        """From now on new orders arrive again."""
        self._losing_orders = False

    def be_mute(self, mute: bool = True) -> None:
        """From now on, or until then, queries stay without an answer."""
        self._mute = mute

    def freeze(self, frozen: bool = True) -> None:
        """From now on, or until then, no word comes from here, and the connection stays: it is half open."""
        self._frozen = frozen

    def hold_cancels(self) -> None:
        """From now on cancels wait for `cancel` or `refuse_cancel`."""
        self._holding_cancels = True

    def hold_modifies(self) -> None:
        """From now on modifies wait for `modify` or `refuse_modify`."""
        self._holding_modifies = True

    def answer_with(self, ordered: Callable[[str], None], modifying: Callable[[str], None]) -> None:
        """From now on a new order, or a modify of a live one, is answered by these, at once; they get its order_ref."""
        self._on_ordered, self._on_modifying = ordered, modifying

    # What to say

    def place_elsewhere(self, order_ref: str, side: Side.ValueType, qty: str, limit: str, cum_qty: str = "0") -> None:
        """Somebody else has an order open here, from now on told in recovery."""
        asked = NewOrder(
            order_ref=order_ref, account=self.accounts[0].account, symbol="X-USD", side=side, order_qty=qty,
            ord_type=ORD_TYPE_LIMIT, limit_px=limit, time_in_force=TIME_IN_FORCE_GTC,
        )  # fmt: skip
        order = SimOrder(asked, broker_order_id=f"EXT-{order_ref}")
        order.live, order.cum_qty = True, Decimal(cum_qty)
        self.orders[order_ref] = order
        terms = OrderTerms(
            symbol="X-USD", side=side, order_qty=qty, ord_type=ORD_TYPE_LIMIT, limit_px=limit,
            time_in_force=TIME_IN_FORCE_GTC,
        )  # fmt: skip
        external = ExternalOrder(
            broker_order_id=order.broker_order_id,
            order_ref=order_ref,
            account=asked.account,
            terms=terms,
            cum_qty=cum_qty,
        )
        self.externals.append(external)

    def fill_of_nobody(self, order_ref: str, signed_qty: str, px: str, *, exec_id: str = "") -> None:
        """A fill of an order that nobody placed here."""
        fill = Fill(
            exec_id=exec_id or f"E{self.head_broker_seq + 1}", signed_qty=signed_qty, price=px, market_time=now()
        )
        said = OrderFill(order_ref=order_ref, account=self.accounts[0].account, symbol="X-USD", fill=fill)
        self.send(BrokerEvent(fill=said))

    def bust(self, order_ref: str, exec_id: str) -> None:
        """A fill is taken back."""
        account = self.accounts[0].account
        taken = TradeCanceled(order_ref=order_ref, account=account, symbol="X-USD", exec_id=exec_id)
        self.send(BrokerEvent(trade_canceled=taken))

    def correct(self, order_ref: str, exec_id: str, signed_qty: str, px: str, *, new_id: str = "") -> None:
        """A fill is changed, and gets a new id if one is given."""
        fill = Fill(exec_id=new_id or exec_id, signed_qty=signed_qty, price=px, market_time=now())
        changed = TradeCorrected(
            order_ref=order_ref, account=self.accounts[0].account, symbol="X-USD", exec_id=exec_id, fill=fill
        )
        self.send(BrokerEvent(trade_corrected=changed))

    def report_positions(self) -> None:
        """Say what is held, all of it, as if asked."""
        for stream in self.trades_streams:
            for position in self._held():
                stream.put(BrokerEvent(position=position))
            stream.put(BrokerEvent(report_end=ReportEnd(what=REPORT_KIND_POSITIONS)))

    def _held(self) -> list[PositionReport]:
        """What the test says, or what the fills in the log make, each counted once."""
        if self.positions:
            return self.positions
        fills: dict[str, tuple[str, str, Decimal]] = {}
        for event in self.log:
            match event.WhichOneof("change"):
                case "fill" if event.fill.fill.signed_qty != "NaN":
                    said = event.fill
                    qty = Decimal(said.fill.signed_qty)
                    fills.setdefault(said.fill.exec_id, (said.account, said.symbol, qty))
                case "trade_canceled":
                    fills.pop(event.trade_canceled.exec_id, None)
                case "trade_corrected":
                    now_it = event.trade_corrected
                    fills.pop(now_it.exec_id, None)
                    fills[now_it.fill.exec_id] = (now_it.account, now_it.symbol, Decimal(now_it.fill.signed_qty))
                case _:
                    pass
        sums: dict[tuple[str, str], Decimal] = {}
        for account, symbol, qty in fills.values():
            sums[account, symbol] = sums.get((account, symbol), Decimal(0)) + qty
        return [
            PositionReport(account=account, symbol=symbol, signed_qty=canonical(qty))
            for (account, symbol), qty in sums.items()
        ]

    def become_another_store(self) -> None:
        """Everything is forgotten, and the store is a new one."""
        self.store_id = f"sim-{uuid.uuid4().hex[:12]}"
        self.log.clear()
        self.orders.clear()

    @property
    def head_broker_seq(self) -> int:
        """Seq of the last thing said."""
        return len(self.log)

    def ack(self, order_ref: str) -> None:
        """The order is live."""
        order = self.orders[order_ref]
        order.live = True
        self.send(BrokerEvent(ack=Ack(order_ref=order_ref, broker_order_id=order.broker_order_id)))

    def reject(self, order_ref: str, reason: Reason.ValueType = REASON_BROKER_REJECTED, text: str = "") -> None:
        """The order is refused."""
        self.orders[order_ref].fate = FATE_REJECTED
        self.send(BrokerEvent(rejected=Rejected(order_ref=order_ref, reason=reason, text=text)))

    def fill(self, order_ref: str, qty: str, px: str, *, fee: str = "", exec_id: str = "") -> None:
        """The order executes: `qty` without a sign, the order's side gives it; `fee` in USD."""
        order = self.orders[order_ref]
        order.fill(qty)
        fill = Fill(
            exec_id=exec_id or f"E{self.head_broker_seq + 1}",
            signed_qty=qty if order.asked.side == SIDE_BUY else f"-{qty}",
            price=px,
            fee=Money(amount=fee, currency="USD") if fee else None,
            market_time=now(),
        )
        account, symbol = order.asked.account, order.asked.symbol
        self.send(BrokerEvent(fill=OrderFill(order_ref=order_ref, account=account, symbol=symbol, fill=fill)))

    def cancel(self, order_ref: str, reason: Reason.ValueType = REASON_UNSPECIFIED, text: str = "") -> None:
        """The order is canceled: the answer to the cancel that waits, or the broker's own doing."""
        order = self.orders[order_ref]
        order.fate = FATE_CANCELED
        canceled = Canceled(order_ref=order_ref, request_ref=order.take_cancel(), reason=reason, text=text)
        self.send(BrokerEvent(canceled=canceled))

    def refuse_cancel(self, order_ref: str, reason: Reason.ValueType = REASON_TOO_LATE, text: str = "") -> None:
        """The cancel that waits has failed; the order stands."""
        self._refuse_cancel(order_ref, self.orders[order_ref].take_cancel(), reason, text)

    def expire(self, order_ref: str, text: str = "") -> None:
        """The order's time in force ended."""
        self.orders[order_ref].fate = FATE_EXPIRED
        self.send(BrokerEvent(expired=Expired(order_ref=order_ref, text=text)))

    def modify(self, order_ref: str, *, broker_order_id: str = "") -> None:
        """The modify that waits is in force; the broker's id changes if one is given."""
        order = self.orders[order_ref]
        asked = order.take_modify()
        assert asked is not None, f"no modify of {order_ref} waits"
        order.restate(asked.order_qty, asked.limit_px, asked.stop_px)
        order.broker_order_id = broker_order_id or order.broker_order_id
        self._say_modified(order, asked.request_ref)

    def refuse_modify(self, order_ref: str, reason: Reason.ValueType = REASON_BROKER_REJECTED, text: str = "") -> None:
        """The modify that waits has failed; the old terms stand."""
        asked = self.orders[order_ref].take_modify()
        assert asked is not None, f"no modify of {order_ref} waits"
        self._refuse_modify(asked, reason, text)

    def restate(self, order_ref: str, *, qty: str = "", limit: str = "") -> None:
        """The broker gives the order new terms by itself; what is not given stays."""
        order = self.orders[order_ref]
        order.restate(qty or str(order.order_qty), limit or order.limit_px, order.stop_px)
        self._say_modified(order, "")

    def repeat(self, broker_seq: int = 0) -> None:
        """Say something of the log again, the last thing without a number, as if it had happened twice."""
        again = BrokerEvent()
        again.CopyFrom(self.log[broker_seq - 1])
        self.send(again)

    def send(self, event: BrokerEvent) -> None:
        """Say anything: it gets the next broker_seq, and leaves at once if an EMS listens."""
        event.broker_seq = self.head_broker_seq + 1
        event.time.CopyFrom(now())
        event.receive_time.CopyFrom(now())
        self.log.append(event)
        kind = event.WhichOneof("change") or "nothing"
        self._story.append((getattr(getattr(event, kind), "order_ref", ""), f"says {kind}"))
        if self._delivering:
            self.deliver(event.broker_seq)
        self._changes.notify()

    def hold_delivery(self) -> None:
        """From now on what is said is logged, and leaves by `deliver` only: late, twice, or in another order."""
        self._delivering = False

    def deliver(self, *broker_seqs: int) -> None:
        """Send these of the log, in this order, again if they were sent before."""
        for stream in self.trades_streams:
            if stream.live:
                for broker_seq in broker_seqs:
                    stream.put(self.log[broker_seq - 1])

    # What happened

    async def next_order(self) -> NewOrder:
        """The next new order that was not asked for here yet."""
        return (await self._next("order")).order

    async def next_cancel(self) -> CancelOrder:
        """The next cancel that was not asked for here yet."""
        return (await self._next("cancel")).cancel

    async def next_modify(self) -> ModifyOrder:
        """The next modify that was not asked for here yet."""
        return (await self._next("modify")).modify

    async def next_hello(self) -> Hello:
        """The next hello that was not asked for here yet."""
        return (await self._next("hello")).hello

    async def received(self, wanted: Callable[[BrokerRequest], bool]) -> BrokerRequest:
        """The first request, of all so far and to come, that is wanted."""
        return await self._changes.until(lambda: next(filter(wanted, self.requests), None), "a request as wanted")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition on this record, e.g. the number of streams."""
        await self._changes.until(lambda: True if condition() else None, what)

    @property
    def hellos(self) -> list[Hello]:
        """Every hello so far."""
        return [request.hello for request in self.requests if request.HasField("hello")]

    def count(self, kind: str) -> int:
        """How many requests of this kind were received."""
        return sum(request.WhichOneof("kind") == kind for request in self.requests)

    def story(self, order_ref: str) -> list[str]:
        """What was heard and said about an order, in order, as in "gets order", "says ack", "gets cancel"."""
        return [told for ref, told in self._story if ref == order_ref]

    # Called by the streams

    def on_open(self, stream: TradesStream) -> None:
        """A trades stream began."""
        self.trades_streams_opened += 1
        self.trades_streams.append(stream)
        self._changes.notify()

    def on_closed(self, stream: TradesStream) -> None:
        """A trades stream is over."""
        self.trades_streams.remove(stream)
        self._changes.notify()

    def on_request(self, stream: TradesStream, request: BrokerRequest) -> None:
        """A request arrived on a trades stream. Signs of life, calls for reports and what is stored
        come whenever they come, and are not recorded.
        """
        kind = request.WhichOneof("kind")
        if self._frozen:
            return
        if kind == "heartbeat":
            stream.put(BrokerEvent(time=now(), heartbeat=BrokerHeartbeat()))
            return
        if kind == "report":
            self._report(stream, request.report.what)
            return
        if kind == "ack_seq":
            return
        self.requests.append(request)
        if not stream.ems_id and kind != "hello":
            stream.end(grpc.StatusCode.FAILED_PRECONDITION, "the first request is hello")
        match kind:
            case "hello":
                self._on_hello(stream, request.hello)
            case "order":
                self._on_order(request.order)
            case "cancel":
                self._on_cancel(request.cancel)
            case "modify":
                self._on_modify(request.modify)
            case "query" if self._mute:
                pass
            case "query":
                stream.put(BrokerEvent(time=now(), ref_state=self._ref_state(request.query.order_ref)))
            case "drop":
                self._on_drop(stream, request.drop.order_ref)
            case "open_refs":
                stream.open_refs += request.open_refs.order_refs
                stream.more_refs = request.open_refs.more
                if not request.open_refs.more:
                    self._recover(stream)
            case None:
                raise AssertionError(f"not known: {request}")
        self._changes.notify()

    def _on_hello(self, stream: TradesStream, hello: Hello) -> None:
        highest = max(hello.epoch, self._epochs.get((hello.ems_id, hello.journal_id), 0))
        if hello.epoch < highest:
            stream.end(grpc.StatusCode.ABORTED, f"epoch {hello.epoch} is below {highest}")
            return
        self._epochs[hello.ems_id, hello.journal_id] = highest
        for other in self.trades_streams:
            if other is not stream and other.ems_id == hello.ems_id:
                other.live = False
                other.end(grpc.StatusCode.ABORTED, "a newer stream took over")
        stream.ems_id = hello.ems_id
        self._losing_orders = False
        stream.since = hello.last_broker_seq if hello.HasField("last_broker_seq") else self.head_broker_seq
        stream.highest_epoch = highest
        stream.open_refs += hello.open_refs
        stream.more_refs = hello.more_open_refs
        if not hello.more_open_refs:
            self._recover(stream)

    def _recover(self, stream: TradesStream) -> None:
        named = set(stream.open_refs)
        hello_ack = HelloAck(
            store_id=self.store_id,
            environment=self.environment,
            build="sim",
            highest_epoch=stream.highest_epoch,
            other_journal_ids=self.other_journal_ids,
            accounts=self.accounts,
            capabilities=self.capabilities,
            head_broker_seq=self.head_broker_seq,
        )
        answer = [
            BrokerEvent(hello_ack=hello_ack),
            *self.log[stream.since :],
            *(BrokerEvent(ref_state=self._ref_state(ref)) for ref in stream.open_refs),
            *(BrokerEvent(external_order=one) for one in self.externals if one.order_ref not in named),
            *(BrokerEvent(position=position) for position in self._held()),
            *(BrokerEvent(balance=balance) for balance in self.balances),
            BrokerEvent(recover_end=RecoverEnd(head_broker_seq=self.head_broker_seq)),
        ]
        for event in answer:
            stream.put(event)
        stream.live = True

    def _report(self, stream: TradesStream, what: ReportKind.ValueType) -> None:
        if what == REPORT_KIND_POSITIONS:
            self.report_positions()
            return
        if what == REPORT_KIND_OPEN_ORDERS:
            for order in self.orders.values():
                if order.is_open and order.live:
                    stream.put(BrokerEvent(ref_state=order.ref_state()))
        stream.put(BrokerEvent(report_end=ReportEnd(what=what)))

    def _on_order(self, asked: NewOrder) -> None:
        if self._losing_orders:
            return
        self._story.append((asked.order_ref, "gets order"))
        if asked.order_ref in self.orders:
            return  # as declared: a ref seen before is never executed twice
        self.orders[asked.order_ref] = SimOrder(asked, broker_order_id=f"SIM-{len(self.orders) + 1}")
        if self._on_ordered is not None:
            self._on_ordered(asked.order_ref)
        elif not self._holding_acks:
            self.ack(asked.order_ref)

    def _on_drop(self, stream: TradesStream, order_ref: str) -> None:
        self._story.append((order_ref, "gets drop"))
        self.fates.pop(order_ref, None)
        stream.put(BrokerEvent(time=now(), ref_state=self._ref_state(order_ref)))

    def _on_cancel(self, asked: CancelOrder) -> None:
        self._story.append((asked.order_ref, "gets cancel"))
        order = self.orders.get(asked.order_ref)
        if order is None or not (order.live or self.capabilities.cancel_by_ref):
            self._refuse_cancel(asked.order_ref, asked.request_ref, REASON_UNKNOWN_ORDER)
        elif order.fate != FATE_WORKING:
            self._refuse_cancel(asked.order_ref, asked.request_ref, REASON_TOO_LATE)
        else:
            order.cancel_request_ref = asked.request_ref
            if not order.live:
                self.ack(asked.order_ref)  # the first answer to an order is its ack, whatever comes next
            if not self._holding_cancels:
                self.cancel(asked.order_ref)

    def _on_modify(self, asked: ModifyOrder) -> None:
        assert self.capabilities.modify, f"not declared: {asked}"
        self._story.append((asked.order_ref, "gets modify"))
        order = self.orders.get(asked.order_ref)
        if order is None or not order.live:
            self._refuse_modify(asked, REASON_UNKNOWN_ORDER)
        elif not order.is_open:
            self._refuse_modify(asked, REASON_TOO_LATE)
        else:
            order.modify = asked
            if self._on_modifying is not None:
                self._on_modifying(asked.order_ref)
            elif not self._holding_modifies:
                self.modify(asked.order_ref)

    def _say_modified(self, order: SimOrder, request_ref: str) -> None:
        modified = Modified(
            order_ref=order.asked.order_ref,
            request_ref=request_ref,
            broker_order_id=order.broker_order_id,
            order_qty=str(order.order_qty),
            limit_px=order.limit_px,
            stop_px=order.stop_px,
        )
        self.send(BrokerEvent(modified=modified))

    def _refuse_modify(self, asked: ModifyOrder, reason: Reason.ValueType, text: str = "") -> None:
        refused = ModifyRejected(order_ref=asked.order_ref, request_ref=asked.request_ref, reason=reason, text=text)
        self.send(BrokerEvent(modify_rejected=refused))

    def _refuse_cancel(self, order_ref: str, request_ref: str, reason: Reason.ValueType, text: str = "") -> None:
        refused = CancelRejected(order_ref=order_ref, request_ref=request_ref, reason=reason, text=text)
        self.send(BrokerEvent(cancel_rejected=refused))

    def _ref_state(self, order_ref: str) -> RefState:
        if order_ref in self.fates:
            return self.fates[order_ref]
        order = self.orders.get(order_ref)
        if order is None:
            return RefState(order_ref=order_ref, fate=FATE_NEVER_RECEIVED, cum_qty="0")
        return order.ref_state()

    # Inside

    async def _next(self, kind: str) -> BrokerRequest:
        place = self._read.get(kind, 0)

        def there() -> BrokerRequest | None:
            received = [request for request in self.requests if request.WhichOneof("kind") == kind]
            return received[place] if len(received) > place else None

        request = await self._changes.until(there, f"{kind} number {place + 1}")
        self._read[kind] = place + 1
        return request

    def _shown(self) -> str:
        received = "\n".join(f"  {MessageToString(request, as_one_line=True)}" for request in self.requests)
        return f"{self.trades_streams_opened} streams opened, {len(self.trades_streams)} open; received\n{received}"
