"""Brokers that mind the whole contract but for one thing, and the cases of the conformance suite that must notice."""

from collections.abc import Callable
from dataclasses import dataclass

import grpc

from pitline.broker.v1.broker_service_pb2 import SubscriptionChange
from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.event_pb2 import FATE_NEVER_RECEIVED, FATE_UNKNOWN, BrokerEvent, Link, PositionReport, RefState
from pitline.broker.v1.request_pb2 import BrokerRequest, Hello, ModifyOrder, NewOrder, ReportKind
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline.types.v1.order_pb2 import ORD_TYPE_LIMIT, TIME_IN_FORCE_GTC
from pitline.types.v1.reason_pb2 import REASON_BROKER_REJECTED, REASON_UNSPECIFIED, Reason
from support.dutiful import SYMBOL, DutifulSim
from support.sim import Sim
from support.sim_market import SYMBOLS, SimMarket
from support.sim_order import SimOrder
from support.sim_streams import QuotesStream, TradesStream


@dataclass(frozen=True, slots=True)
class Fault:
    """A broker to make, and the cases that fail against it."""

    make: Callable[[], Sim]
    cases: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it does wrong."""
        return getattr(self.make, "__name__", "")


FAULTS: list[Fault] = []


def noticed_by(*cases: str) -> Callable[[type[DutifulSim]], type[DutifulSim]]:
    """Enter a broker among the faults."""

    def enter(make: type[DutifulSim]) -> type[DutifulSim]:
        FAULTS.append(Fault(make, cases))
        return make

    return enter


class Tampering(DutifulSim):
    """Changes what leaves, and keeps a true log."""

    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        """What leaves in place of the event, a copy; `live`: recovery is over."""
        raise NotImplementedError

    def on_open(self, stream: TradesStream) -> None:
        """A trades stream began: everything put into it is tampered with."""
        put = stream.put

        def tampered(item: BrokerEvent) -> None:
            copy = BrokerEvent()
            copy.CopyFrom(item)
            for told in self.tamper(copy, live=stream.live):
                put(told)

        stream.put = tampered
        super().on_open(stream)


# The dialogue


@noticed_by("D04")
class HasAnotherStoreEachTime(DutifulSim):
    def _on_hello(self, stream: TradesStream, hello: Hello) -> None:
        self.store_id += "x"
        super()._on_hello(stream, hello)


@noticed_by("D01")
class SaysNoStore(DutifulSim):
    def _on_hello(self, stream: TradesStream, hello: Hello) -> None:
        self.store_id = ""
        super()._on_hello(stream, hello)


@noticed_by("D02", "R02")
class TellsEverythingToEveryone(DutifulSim):
    def _recover(self, stream: TradesStream) -> None:
        if not self.log:
            self.send(BrokerEvent(link=Link(state=Link.STATE_UP)))
        stream.since = 0
        super()._recover(stream)


@noticed_by("D03", "R11")
class NamesAnotherHead(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        if event.HasField("recover_end"):
            event.recover_end.head_broker_seq += 1
        return [event]


@noticed_by("D07", "D08")
class LetsNobodyTakeOver(DutifulSim):
    def _on_hello(self, stream: TradesStream, hello: Hello) -> None:
        for other in self.trades_streams:
            other.ems_id = f"{other.ems_id}-older" if other is not stream else ""
        Sim._on_hello(self, stream, hello)


@noticed_by("D09", "D10")
class TakesAnyEpoch(DutifulSim):
    def _on_hello(self, stream: TradesStream, hello: Hello) -> None:
        hello.epoch += 1_000_000 + len(self.requests)
        super()._on_hello(stream, hello)


@noticed_by("D20", "R04", "R06")
class ForgetsAnOpenRef(DutifulSim):
    def _recover(self, stream: TradesStream) -> None:
        stream.open_refs = stream.open_refs[:-1]
        super()._recover(stream)


@noticed_by("D20", "R04", "R09")
class TellsStatesTwice(DutifulSim):
    def _recover(self, stream: TradesStream) -> None:
        stream.open_refs *= 2
        super()._recover(stream)


# Acks and the log


@noticed_by("A01", "A03", "U01", "L02")
class AcksTwice(DutifulSim):
    def ack(self, order_ref: str) -> None:
        super().ack(order_ref)
        super().ack(order_ref)


@noticed_by("A02")
class AcksWithoutAnId(DutifulSim):
    def ack(self, order_ref: str) -> None:
        self.orders[order_ref].broker_order_id = ""
        super().ack(order_ref)


@noticed_by("A04", "L01")
class SkipsNumbers(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        return [] if event.HasField("ack") and event.broker_seq % 3 == 0 else [event]


@noticed_by("A05")
class KeepsItsTimes(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        event.ClearField("receive_time")
        return [event]


@noticed_by("A06", "Q01", "R05", "U05")
class KnowsNoOrder(DutifulSim):
    def _ref_state(self, order_ref: str) -> RefState:
        return RefState(order_ref=order_ref, fate=FATE_NEVER_RECEIVED, cum_qty="0")


@noticed_by("J01", "J02", "B01")
class RejectsWithoutAReason(DutifulSim):
    def reject(self, order_ref: str, reason: Reason.ValueType = REASON_BROKER_REJECTED, text: str = "") -> None:
        super().reject(order_ref, REASON_UNSPECIFIED, text)


@noticed_by("J03", "R05")
class ForgetsWhatItRejected(DutifulSim):
    def _reject_new(self, order_ref: str, reason: Reason.ValueType) -> None:
        super()._reject_new(order_ref, reason)
        self.fates[order_ref] = RefState(order_ref=order_ref, fate=FATE_NEVER_RECEIVED, cum_qty="0")


# Cancels and modifies


@noticed_by("C01", "C07", "U06", "L05")
class CancelsTwice(DutifulSim):
    def cancel(self, order_ref: str, reason: Reason.ValueType = REASON_UNSPECIFIED, text: str = "") -> None:
        super().cancel(order_ref, reason, text)
        self.repeat()


@noticed_by("C01")
class AnswersNoCancelByName(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        if event.HasField("canceled"):
            event.canceled.request_ref = ""
        return [event]


@noticed_by("C03", "C04", "C05", "C06")
class IsSilentOnLateCancels(DutifulSim):
    def _refuse_cancel(self, order_ref: str, request_ref: str, reason: Reason.ValueType, text: str = "") -> None:
        pass


@noticed_by("C02", "Q01", "R05")
class CancelsAndForgets(DutifulSim):
    def cancel(self, order_ref: str, reason: Reason.ValueType = REASON_UNSPECIFIED, text: str = "") -> None:
        super().cancel(order_ref, reason, text)
        self.fates[order_ref] = RefState(order_ref=order_ref, fate=FATE_UNKNOWN, cum_qty="0")


@noticed_by("C08")
class CancelsBeforeItAcks(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        return [] if event.HasField("ack") else [event]


@noticed_by("M02", "M03", "M04")
class SaysOldTerms(DutifulSim):
    def _say_modified(self, order: SimOrder, request_ref: str) -> None:
        order.order_qty, order.limit_px = order.order_qty * 7, order.asked.limit_px
        super()._say_modified(order, request_ref)


@noticed_by("M05")
class ModifiesWithoutAnId(DutifulSim):
    def _say_modified(self, order: SimOrder, request_ref: str) -> None:
        order.broker_order_id = ""
        super()._say_modified(order, request_ref)


@noticed_by("M06", "F01", "F05", "K12", "F07")
class NeverFills(DutifulSim):
    def _trade(self, order: SimOrder) -> None:
        pass


@noticed_by("M07", "M08", "M09")
class IsSilentOnLateModifies(DutifulSim):
    def _refuse_modify(self, asked: ModifyOrder, reason: Reason.ValueType, text: str = "") -> None:
        pass


@noticed_by("M01")
class ModifiesUndeclared(DutifulSim):
    def __init__(self) -> None:
        super().__init__()
        self.capabilities.modify = False

    def _on_modify(self, asked: ModifyOrder) -> None:
        self.capabilities.modify = True
        super()._on_modify(asked)
        self.capabilities.modify = False


# Fills


@noticed_by("F02")
class SellsWithoutASign(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        if event.HasField("fill"):
            event.fill.fill.signed_qty = event.fill.fill.signed_qty.removeprefix("-")
        return [event]


@noticed_by("F01", "F07")
class FillsForAnotherAccount(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        if event.HasField("fill"):
            event.fill.account = "another"
        return [event]


@noticed_by("F01", "F02")
class FillsBeyondTheLimit(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        if event.HasField("fill"):
            event.fill.fill.price = "1000" if not event.fill.fill.signed_qty.startswith("-") else "1"
        return [event]


@noticed_by("F03", "L02")
class AcksAgainWithTheFill(DutifulSim):
    def fill(self, order_ref: str, qty: str, px: str, *, fee: str = "", exec_id: str = "") -> None:
        self.ack(order_ref)
        super().fill(order_ref, qty, px, fee=fee, exec_id=exec_id)


@noticed_by("F04", "L03")
class UsesAnExecIdAgain(DutifulSim):
    def fill(self, order_ref: str, qty: str, px: str, *, fee: str = "", exec_id: str = "") -> None:
        super().fill(order_ref, qty, px, fee=fee, exec_id="E1")


@noticed_by("F05", "F06", "R09", "U04")
class ForgetsItsFills(DutifulSim):
    def _ref_state(self, order_ref: str) -> RefState:
        state = super()._ref_state(order_ref)
        return RefState(order_ref=order_ref, fate=state.fate, cum_qty="0", broker_order_id=state.broker_order_id)


@noticed_by("L04")
class FillsTwice(DutifulSim):
    def fill(self, order_ref: str, qty: str, px: str, *, fee: str = "", exec_id: str = "") -> None:
        super().fill(order_ref, qty, px, fee=fee)
        super().fill(order_ref, qty, px, fee=fee)


@noticed_by("F08")
class HoldsNothing(DutifulSim):
    def _held(self) -> list[PositionReport]:
        return []


# Recovery and duplicates


@noticed_by("R01", "R03", "R08", "R10", "S03", "L01")
class TellsNothingAgain(DutifulSim):
    def _recover(self, stream: TradesStream) -> None:
        stream.since = self.head_broker_seq
        super()._recover(stream)


@noticed_by("R01", "R08", "L01")
class TellsOtherExecIdsAgain(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        if live and event.HasField("fill"):
            event.fill.fill.exec_id += "LIVE"
        if live and event.HasField("ack"):
            event.ack.broker_order_id += "LIVE"
        return [event]


@noticed_by("R06", "Q02")
class KnowsNothingOfRefs(DutifulSim):
    def _ref_state(self, order_ref: str) -> RefState:
        known = order_ref in self.orders
        return super()._ref_state(order_ref) if known else RefState(order_ref=order_ref, fate=FATE_UNKNOWN, cum_qty="0")


@noticed_by("R07")
class LosesOrdersWithTheStream(DutifulSim):
    def on_closed(self, stream: TradesStream) -> None:
        super().on_closed(stream)
        self.orders.clear()


@noticed_by("R12")
class BelievesTheCursor(DutifulSim):
    def _recover(self, stream: TradesStream) -> None:
        while self.head_broker_seq < stream.since:
            self.log.append(BrokerEvent(broker_seq=self.head_broker_seq + 1))
        super()._recover(stream)


@noticed_by("U01", "U02", "U03", "U04", "U05")
class ExecutesAgain(DutifulSim):
    def _on_order(self, asked: NewOrder) -> None:
        self.orders.pop(asked.order_ref, None)
        super()._on_order(asked)


@noticed_by("U07")
class ModifiesAgain(DutifulSim):
    def _on_modify(self, asked: ModifyOrder) -> None:
        self._modified_refs.clear()
        super()._on_modify(asked)


# Questions and signs of life


@noticed_by("Q03", "Q04", "Q05", "Q06")
class EndsNoReport(DutifulSim):
    def _report(self, stream: TradesStream, what: ReportKind.ValueType) -> None:
        pass


@noticed_by("Q03")
class ReportsWhatHasEnded(DutifulSim):
    def _report(self, stream: TradesStream, what: ReportKind.ValueType) -> None:
        for order in self.orders.values():
            if not order.is_open:
                stream.put(BrokerEvent(ref_state=order.ref_state()))
        super()._report(stream, what)


@noticed_by("Q04")
class ReportsPositionsTwice(DutifulSim):
    def _held(self) -> list[PositionReport]:
        return [PositionReport(account="main", symbol=SYMBOL, signed_qty="1")] * 2


@noticed_by("Q07")
class DropsWhatWorks(DutifulSim):
    def _on_drop(self, stream: TradesStream, order_ref: str) -> None:
        self.orders.pop(order_ref)
        super()._on_drop(stream, order_ref)


@noticed_by("S01", "S02", "A01", "D09")
class AnswersNoHeartbeat(DutifulSim):
    def on_request(self, stream: TradesStream, request: BrokerRequest) -> None:
        if not request.HasField("heartbeat"):
            super().on_request(stream, request)


@noticed_by("S03")
class TrimsTooMuch(DutifulSim):
    def on_request(self, stream: TradesStream, request: BrokerRequest) -> None:
        self._trimmed = getattr(self, "_trimmed", False) or request.HasField("ack_seq")
        super().on_request(stream, request)

    def _recover(self, stream: TradesStream) -> None:
        if self._trimmed:
            stream.since = self.head_broker_seq
        super()._recover(stream)


@noticed_by("S04")
class EndsOnWildAcknowledgments(DutifulSim):
    def on_request(self, stream: TradesStream, request: BrokerRequest) -> None:
        if request.ack_seq.broker_seq > self.head_broker_seq:
            stream.end(grpc.StatusCode.INVALID_ARGUMENT, "beyond the head")
            return
        super().on_request(stream, request)


# Capabilities


@noticed_by("K01")
class DeclaresLessInItsDialogue(Tampering):
    def tamper(self, event: BrokerEvent, *, live: bool) -> list[BrokerEvent]:
        if event.HasField("hello_ack"):
            event.hello_ack.capabilities.modify = False
        return [event]


@noticed_by("K02")
class DeclaresNothing(DutifulSim):
    def __init__(self) -> None:
        super().__init__()
        self.capabilities = Capabilities(ord_types=[ORD_TYPE_LIMIT, ORD_TYPE_LIMIT])


@noticed_by("K03", "K04", "K05")
class TakesWhatItDoesNotDeclare(DutifulSim):
    def __init__(self) -> None:
        super().__init__()
        self.capabilities = Capabilities(ord_types=[ORD_TYPE_LIMIT], times_in_force=[TIME_IN_FORCE_GTC])

    def _on_order(self, asked: NewOrder) -> None:
        Sim._on_order(self, asked)


@noticed_by("K06", "K07", "K08", "K12", "K13", "A03", "R02")
class RejectsEverything(DutifulSim):
    def _objection(self, asked: NewOrder) -> Reason.ValueType | None:
        return REASON_BROKER_REJECTED


@noticed_by("K09")
class KeepsNoTime(DutifulSim):
    def _on_order(self, asked: NewOrder) -> None:
        if asked.HasField("expire_time"):
            asked.expire_time.seconds = 4_000_000_000
        super()._on_order(asked)


@noticed_by("K10", "K11")
class LetsEverythingRest(DutifulSim):
    def cancel(self, order_ref: str, reason: Reason.ValueType = REASON_UNSPECIFIED, text: str = "") -> None:
        if reason == REASON_UNSPECIFIED:
            super().cancel(order_ref, reason, text)


@noticed_by("K14", "K15")
class ObjectsToNothing(DutifulSim):
    def _objection(self, asked: NewOrder) -> Reason.ValueType | None:
        return None


# Markets


class TamperingMarket(SimMarket):
    """Changes what leaves on streams of quotes."""

    def tamper(self, update: MarketUpdate) -> None:
        """Change the update, a copy."""
        raise NotImplementedError

    def on_open(self, stream: QuotesStream) -> None:
        """A stream of quotes began: every update put into it is tampered with."""
        put = stream.put

        def tampered(item: MarketUpdate | str) -> None:
            if isinstance(item, str):
                put(item)
                return
            copy = MarketUpdate()
            copy.CopyFrom(item)
            self.tamper(copy)
            put(copy)

        stream.put = tampered
        super().on_open(stream)


class UnmarkedMarket(TamperingMarket):
    def tamper(self, update: MarketUpdate) -> None:
        update.snapshot = False


class CrossedMarket(TamperingMarket):
    def tamper(self, update: MarketUpdate) -> None:
        if update.HasField("quote"):
            update.quote.bid_px = "200"


class ForeignMarket(TamperingMarket):
    def tamper(self, update: MarketUpdate) -> None:
        update.key.broker = "elsewhere"


class DeafMarket(SimMarket):
    def on_subscription(self, stream: QuotesStream, change: SubscriptionChange) -> None:
        """Unknown symbols are not named."""
        if change.subscribe.symbol in SYMBOLS:
            super().on_subscription(stream, change)


class RestlessMarket(SimMarket):
    def on_subscription(self, stream: QuotesStream, change: SubscriptionChange) -> None:
        """No unsubscribe is heard, and quotes come with every word of the client."""
        if change.HasField("subscribe"):
            super().on_subscription(stream, change)
        self.quote(SYMBOL, bid="99", ask="101")


class DisorderlyMarket(SimMarket):
    def __init__(self) -> None:
        super().__init__()
        self.instruments.reverse()


def _with(market: type[SimMarket], *cases: str) -> None:
    def make() -> Sim:
        sim = DutifulSim()
        sim.market = market()
        sim.market.quote(SYMBOL, bid="99", ask="101")
        return sim

    make.__name__ = market.__name__
    FAULTS.append(Fault(make, cases))


_with(UnmarkedMarket, "T01", "T03")
_with(CrossedMarket, "T05")
_with(ForeignMarket, "T01")
_with(DeafMarket, "T02", "T04")
_with(RestlessMarket, "T04")
_with(DisorderlyMarket, "T08", "T09")
