"""Every field that can be asked of the paper broker, one row each: what it must refuse, and how that reads.

The fields are enumerated from the descriptors of `pitline.broker.v1` and `pitline.paper.v1`. A field without a row
fails, so does a row without a field. Orders and modifies are rejected in the dialog; what has no answer there ends the
stream, or the call. In each case the text names the field and the value, and nothing moves.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.broker.v1 import broker_service_pb2, request_pb2
from pitline.broker.v1.broker_service_pb2 import (
    GetCapabilitiesRequest,
    ListBarsRequest,
    ListInstrumentsRequest,
    QuotesRequest,
    Subscribe,
    SubscriptionChange,
    TradesRequest,
    Unsubscribe,
)
from pitline.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.broker.v1.request_pb2 import (
    DURABILITY_FLUSH,
    REPORT_KIND_BALANCES,
    AckBrokerSeq,
    BrokerRequest,
    CancelOrder,
    DropOrder,
    Hello,
    ModifyOrder,
    NewOrder,
    OpenRefs,
    Query,
    Report,
    RequestHeartbeat,
)
from pitline.paper.v1 import script_service_pb2
from pitline.paper.v1.script_service_pb2 import StepRequest
from pitline.paper.v1.script_service_pb2_grpc import ScriptServiceStub
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import FEED_STATE_FRESH, Book, BookLevel, MarketUpdate, Quote, Trade
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    ORD_TYPE_LIMIT,
    SIDE_BUY,
    TIME_IN_FORCE_GTC,
    TIME_IN_FORCE_GTD,
)
from pitline.types.v1.reason_pb2 import Reason
from pitline_rpc.channel import connect
from pitline_rpc.status import Refused, from_rpc_error
from support.bad_values import MEGABYTE, AnyValue, Bad, NotTaken, Row
from support.broker_dialog import BrokerDialog
from support.services import InProcess


def gtd(order: NewOrder) -> None:
    order.time_in_force = TIME_IN_FORCE_GTD


def a_ref() -> list[Bad]:
    """An id that the EMS gave."""
    return [Bad(value, "MALFORMED", "[A-Z0-9]{1,20}") for value in ("", "o1", "O 1", "O1\n", "X" * 21, "X" * MEGABYTE)]


def an_ems_name() -> list[Bad]:
    """What an EMS is called."""
    return [Bad(value, "MALFORMED", "{1,64}") for value in ("", "a b", "x" * 65, "x" * MEGABYTE)]


def a_name(unknown: str) -> list[Bad]:
    """What must exist here."""
    return [
        Bad("", "REQUIRED", "empty"),
        Bad("x" * 65, "MALFORMED", "more than 64"),
        Bad("x" * MEGABYTE, "MALFORMED", "more than 64"),
        Bad("NO-SUCH", unknown, ""),
    ]


def a_number(*, step: str, required: str = "REQUIRED") -> list[Bad]:
    """A price or a quantity on a grid of 0.01."""
    return [
        *([Bad("", required, "")] if required else []),
        *(Bad(value, "MALFORMED", "decimal number") for value in ("one", "NaN", "Infinity", "1e3", "+1", " 1")),
        Bad("1" * MEGABYTE, "MALFORMED", "more than 40"),
        *(Bad(value, "OUT_OF_RANGE", "not above 0") for value in ("0", "-1")),
        Bad("1.001", step, "0.01"),
    ]


def a_choice() -> list[Bad]:
    """A value of a closed set that has no default."""
    return [Bad(0, "REQUIRED", "unspecified"), *(Bad(value, "UNKNOWN_VALUE", "not known here") for value in (99, -1))]


def a_symbol() -> list[Bad]:
    """Of a subscription; one that does not exist is named on the stream, which goes on."""
    return [Bad("", "REQUIRED", "no symbol"), Bad("x" * MEGABYTE, "MALFORMED", "more than 64")]


def a_time() -> list[Bad]:
    """A moment that the store can hold."""
    return [Bad(Timestamp(seconds=seconds), "OUT_OF_RANGE", "is not in 1 ..") for seconds in (-1, 253_402_300_799)]


ROWS: dict[str, Row] = {
    "BrokerRequest.hello": AnyValue("its fields have rows; a second one is out of sequence"),
    "BrokerRequest.order": AnyValue("its fields have rows"),
    "BrokerRequest.modify": [
        Bad(ModifyOrder(order_ref="O1", request_ref="M1"), "REQUIRED", "are empty", where="order_qty")
    ],
    "BrokerRequest.cancel": AnyValue("its fields have rows"),
    "BrokerRequest.query": AnyValue("its fields have rows"),
    "BrokerRequest.report": AnyValue("its fields have rows"),
    "BrokerRequest.ack_seq": AnyValue("its fields have rows"),
    "BrokerRequest.heartbeat": AnyValue("it has no fields"),
    "Hello.ems_id": an_ems_name(),
    "Hello.journal_id": an_ems_name(),
    "Hello.epoch": [Bad(value, "OUT_OF_RANGE", "is not in 1 ..") for value in (0, 2**63, 2**64 - 1)],
    "Hello.durability": [Bad(value, "UNKNOWN_VALUE", "neither FSYNC nor FLUSH") for value in (0, 99, -1)],
    "Hello.start_id": [Bad(value, "MALFORMED", "is not of") for value in ("a b", "x" * MEGABYTE)],
    "Hello.begin_at_head": AnyValue("nothing of before is told, whatever the cursor"),
    "Hello.last_broker_seq": AnyValue("a cursor beyond the head gets nothing, and the head: the EMS judges"),
    "Hello.more_open_refs": AnyValue("they follow, and nothing is answered before they do"),
    "BrokerRequest.open_refs": AnyValue("its fields have rows; without a hello that announced it, out of sequence"),
    "OpenRefs.order_refs": [Bad(["O1", bad.value], bad.reason, bad.bound) for bad in a_ref()],
    "OpenRefs.more": AnyValue("still more follow"),
    "BrokerRequest.drop": AnyValue("its fields have rows"),
    "DropOrder.order_ref": a_ref(),
    "Hello.open_refs": [Bad(["O1", bad.value], bad.reason, bad.bound) for bad in a_ref()],
    "NewOrder.order_ref": a_ref(),
    "NewOrder.request_ref": [Bad(value, "MALFORMED", "not the order_ref") for value in ("", "X9", "x" * MEGABYTE)],
    "NewOrder.account": a_name("UNKNOWN_ACCOUNT"),
    "NewOrder.symbol": a_name("UNKNOWN_SYMBOL"),
    "NewOrder.side": a_choice(),
    "NewOrder.order_qty": a_number(step="LOT_SIZE"),
    "NewOrder.ord_type": [*a_choice(), *(Bad(value, "UNSUPPORTED", "not offered here") for value in (3, 4, 5))],
    "NewOrder.limit_px": a_number(step="TICK_SIZE"),
    "NewOrder.time_in_force": a_choice(),
    "NewOrder.stop_px": [Bad(value, "UNSUPPORTED", "not offered here") for value in ("1", "x" * MEGABYTE)],
    "NewOrder.expire_time": [
        Bad(None, "REQUIRED", "absent with GTD", given=gtd),
        Bad(Timestamp(seconds=2_000_000_000), "UNSUPPORTED", "not offered here"),
        Bad(Timestamp(), "OUT_OF_RANGE", "is not in 1 ..", given=gtd),
        Bad(Timestamp(seconds=1, nanos=-1), "MALFORMED", "0 to 999999999", given=gtd),
        *(Bad(bad.value, bad.reason, bad.bound, given=gtd) for bad in a_time()),
    ],
    "NewOrder.exec_inst": [
        Bad([0], "UNSUPPORTED", "not offered here"),
        *(Bad([EXEC_INST_POST_ONLY, value], "UNKNOWN_VALUE", "not offered here") for value in (99, -1)),
    ],
    "NewOrder.trail": NotTaken(),
    "ModifyOrder.order_ref": a_ref(),
    "ModifyOrder.request_ref": a_ref(),
    "ModifyOrder.order_qty": a_number(step="LOT_SIZE", required=""),
    "ModifyOrder.limit_px": a_number(step="TICK_SIZE", required=""),
    "ModifyOrder.trail": NotTaken(),
    "ModifyOrder.stop_px": [Bad(value, "UNSUPPORTED", "not offered here") for value in ("1", "x" * MEGABYTE)],
    "CancelOrder.order_ref": a_ref(),
    "CancelOrder.request_ref": a_ref(),
    "Query.order_ref": a_ref(),
    "Report.what": [Bad(value, "UNKNOWN_VALUE", "no kind of report") for value in (0, 99, -1)],
    "AckBrokerSeq.broker_seq": AnyValue(
        "an EMS that says it has stored what was never said forgets at most its own log"
    ),
    "SubscriptionChange.subscribe": AnyValue("its fields have rows"),
    "SubscriptionChange.unsubscribe": AnyValue("its fields have rows"),
    "Subscribe.symbol": a_symbol(),
    "Subscribe.depth": [Bad(value, "OUT_OF_RANGE", "above 1000") for value in (1001, 2**32 - 1)],
    "Unsubscribe.symbol": a_symbol(),
    "ListInstrumentsRequest.page_size": [Bad(value, "OUT_OF_RANGE", "above 1000") for value in (1001, 2**32 - 1)],
    "ListInstrumentsRequest.page_token": [
        Bad(value, "MALFORMED", "none that") for value in ("NO-SUCH", "x" * MEGABYTE)
    ],
    "ListBarsRequest.symbol": [*a_symbol(), Bad("NO-SUCH", "UNKNOWN_SYMBOL", "not traded here")],
    "ListBarsRequest.interval_seconds": [
        Bad(value, "OUT_OF_RANGE", "not 1 to 86400") for value in (0, 86_401, 2**32 - 1)
    ],
    "ListBarsRequest.start_time": a_time(),
    "ListBarsRequest.end_time": a_time(),
    "ListBarsRequest.page_size": [Bad(value, "OUT_OF_RANGE", "above 10000") for value in (10_001, 2**32 - 1)],
    "ListBarsRequest.page_token": [
        Bad(value, "MALFORMED", "none that") for value in ("x", "-1", "9" * 21, "x" * MEGABYTE)
    ],
    "MarketUpdate.key": AnyValue("its fields have rows"),
    "InstrumentKey.broker": NotTaken(),
    "InstrumentKey.symbol": [Bad(value, "UNKNOWN_SYMBOL", "is not one of") for value in ("", "NO", "x" * MEGABYTE)],
    "MarketUpdate.market_time": [*a_time(), Bad(Timestamp(seconds=1), "OUT_OF_RANGE", "before", where="updates")],
    "MarketUpdate.receive_time": NotTaken(),
    "MarketUpdate.missed": NotTaken(),
    "MarketUpdate.snapshot": NotTaken(),
    "MarketUpdate.quote": AnyValue("its fields have rows; an empty one says that nobody quotes"),
    "MarketUpdate.trade": AnyValue("its fields have rows"),
    "MarketUpdate.book": AnyValue("its fields have rows; an empty one says that nobody quotes"),
    "MarketUpdate.bar": NotTaken(),
    "MarketUpdate.feed_state": [Bad(value, "UNSUPPORTED", "neither FRESH nor HALTED") for value in (0, 2, 4, 99, -1)],
    "Quote.bid_px": a_number(step="TICK_SIZE", required="MALFORMED"),
    "Quote.bid_qty": a_number(step="LOT_SIZE", required="MALFORMED"),
    "Quote.ask_px": a_number(step="TICK_SIZE", required="MALFORMED"),
    "Quote.ask_qty": a_number(step="LOT_SIZE", required="MALFORMED"),
    "Trade.price": a_number(step="TICK_SIZE", required="MALFORMED"),
    "Trade.qty": a_number(step="LOT_SIZE", required="MALFORMED"),
    "Trade.aggressor_side": [Bad(value, "UNKNOWN_VALUE", "no side") for value in (99, -1)],
    "Trade.trade_id": AnyValue("told as it came; a message bounds it"),
    "Book.bids": AnyValue("its fields have rows; an empty one says that nobody bids"),
    "Book.asks": AnyValue("its fields have rows; an empty one says that nobody offers"),
    "BookLevel.price": a_number(step="TICK_SIZE", required="MALFORMED"),
    "BookLevel.qty": a_number(step="LOT_SIZE", required="MALFORMED"),
}

_QUOTE = Quote(bid_px="99", bid_qty="1", ask_px="101", ask_qty="1")
_LEVEL = BookLevel(price="99", qty="1")
_KEY = InstrumentKey(symbol="Y-USD")
SOUND: Sequence[Message] = [
    BrokerRequest(hello=Hello(ems_id="by-hand", journal_id="BYHAND", epoch=1, durability=DURABILITY_FLUSH)),
    BrokerRequest(
        order=NewOrder(
            order_ref="O9",
            request_ref="O9",
            account="main",
            symbol="X-USD",
            side=SIDE_BUY,
            order_qty="1",
            ord_type=ORD_TYPE_LIMIT,
            limit_px="100",
            time_in_force=TIME_IN_FORCE_GTC,
        )
    ),
    BrokerRequest(modify=ModifyOrder(order_ref="O1", request_ref="M1", order_qty="2")),
    BrokerRequest(cancel=CancelOrder(order_ref="O1", request_ref="C1")),
    BrokerRequest(query=Query(order_ref="O1")),
    BrokerRequest(report=Report(what=REPORT_KIND_BALANCES)),
    BrokerRequest(ack_seq=AckBrokerSeq()),
    BrokerRequest(heartbeat=RequestHeartbeat()),
    BrokerRequest(drop=DropOrder(order_ref="O1")),
    BrokerRequest(open_refs=OpenRefs(order_refs=["O1"])),
    SubscriptionChange(subscribe=Subscribe(symbol="X-USD")),
    SubscriptionChange(unsubscribe=Unsubscribe(symbol="X-USD")),
    ListInstrumentsRequest(),
    ListBarsRequest(symbol="X-USD", interval_seconds=60),
    GetCapabilitiesRequest(),
    MarketUpdate(key=_KEY, quote=_QUOTE),
    MarketUpdate(key=_KEY, trade=Trade(price="99", qty="1")),
    MarketUpdate(key=_KEY, book=Book(bids=[_LEVEL], asks=[BookLevel(price="101", qty="1")])),
    MarketUpdate(key=_KEY, feed_state=FEED_STATE_FRESH),
]

Place = tuple[FieldDescriptor, ...]


def key(place: Place) -> str:
    """The name of its row."""
    assert place[-1].containing_type is not None
    return f"{place[-1].containing_type.name}.{place[-1].name}"


def places(root: Any, path: Place = ()) -> Iterator[Place]:
    """Every field of a message and of those in it, down to what is not taken and to times."""
    message = path[-1].message_type if path else root
    assert message is not None
    for field in message.fields:
        place = (*path, field)
        yield place
        within = field.message_type
        if within is not None and within is not Timestamp.DESCRIPTOR and not isinstance(ROWS.get(key(place)), NotTaken):
            yield from places(root, place)


ROOTS = {message.DESCRIPTOR.full_name: message.DESCRIPTOR for message in SOUND}
PLACES = [(root, place) for root in ROOTS.values() for place in places(root)]


def cases() -> Iterator[Any]:
    """Each bad value in each sound message that has a place for it: (message, field, what must be said)."""
    for root, place in PLACES:
        row = ROWS.get(key(place))
        if isinstance(row, NotTaken):
            row = [Bad(_sample(place[-1]), "UNSUPPORTED", "")]
        for bad in () if row is None or isinstance(row, AnyValue) else row:
            for sound in SOUND:
                if sound.DESCRIPTOR is root and (message := _spoiled(sound, place, bad)) is not None:
                    yield pytest.param(message, place[-1].name, bad, id=f"{key(place)} {bad}")


def _sample(field: FieldDescriptor) -> Any:
    """Something that the field can hold and that is not its default."""
    if field.message_type is not None:
        return GetMessageClass(field.message_type)()
    return "1" if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else 1


def _spoiled(sound: Message, place: Place, bad: Bad) -> Message | None:
    message = deepcopy(sound)
    parent: Any = message
    for field in place[:-1]:
        if field.containing_oneof is not None and not parent.HasField(field.name):
            return None
        parent = getattr(parent, field.name)[0] if field.is_repeated else getattr(parent, field.name)
    field = place[-1]
    if (
        len(place) == 1
        and field.containing_oneof is not None
        and sound.WhichOneof("kind" if hasattr(sound, "hello") else "change") != field.name
        and not isinstance(ROWS[key(place)], NotTaken)
    ):
        return None
    if bad.given is not None:
        bad.given(parent)
    if bad.value is None:
        parent.ClearField(field.name)
    elif field.is_repeated:
        getattr(parent, field.name).extend(bad.value)
    elif field.message_type is not None:
        getattr(parent, field.name).SetInParent()
        getattr(parent, field.name).CopyFrom(bad.value)
    else:
        setattr(parent, field.name, bad.value)
    return message


# The table itself


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    fields = {key(place) for _, place in PLACES}
    assert fields - set(ROWS) == set(), "fields without a row"
    assert set(ROWS) - fields == set(), "rows without a field"


def test_every_row_of_a_text_has_one_that_is_too_large() -> None:
    for _, place in PLACES:
        row = ROWS[key(place)]
        if place[-1].cpp_type == FieldDescriptor.CPPTYPE_STRING and not isinstance(row, AnyValue | NotTaken):
            values = [text for bad in row for text in (bad.value if place[-1].is_repeated else [bad.value])]
            assert any(len(value) >= MEGABYTE for value in values), key(place)


def test_every_call_is_covered() -> None:
    service = broker_service_pb2.DESCRIPTOR.services_by_name["BrokerService"]
    script = script_service_pb2.DESCRIPTOR.services_by_name["ScriptService"]
    batches = {
        TradesRequest.DESCRIPTOR.full_name: BrokerRequest.DESCRIPTOR.full_name,
        QuotesRequest.DESCRIPTOR.full_name: SubscriptionChange.DESCRIPTOR.full_name,
        StepRequest.DESCRIPTOR.full_name: MarketUpdate.DESCRIPTOR.full_name,
    }
    asked = [method.input_type.full_name for method in (*service.methods, *script.methods)]
    assert {batches.get(name, name) for name in asked} == set(ROOTS)
    assert {arm.name for arm in request_pb2.BrokerRequest.DESCRIPTOR.oneofs[0].fields} == {
        sound.WhichOneof("kind") for sound in SOUND if isinstance(sound, BrokerRequest)
    }


# Over sockets


async def test_every_bad_value_is_refused_by_field_and_value_and_nothing_moves(paper: InProcess) -> None:
    async with connect(paper.address) as channel:
        await _with_an_order(paper)
        before = await _everything(paper)
        complaints: list[str] = []
        for number, case in enumerate(cases()):
            message, field, bad = case.values
            _rename(message, f"N{number}")
            refusal = await _refusal(paper, channel, message)
            if (complaint := _complaint(refusal, field, bad)) is not None:
                complaints.append(f"{case.id}: {complaint}")
        assert complaints == [], "\n".join(complaints)
        assert await _everything(paper) == before


def _rename(message: Message, order_ref: str) -> None:
    """A ref is known from its first rejection on, so each order has its own."""
    if isinstance(message, BrokerRequest) and message.HasField("order"):
        order = message.order
        order.request_ref = order_ref if order.request_ref == "O9" else order.request_ref
        order.order_ref = order_ref if order.order_ref == "O9" else order.order_ref


def _complaint(refusal: Refused | None, field: str, bad: Bad) -> str | None:
    if refusal is None:
        return "taken"
    missing = [part for part in (bad.shown, bad.bound) if part not in refusal.text]
    if field not in f"{refusal.field} {refusal.text}" and not bad.where:
        missing.append(field)
    if refusal.reason != bad.reason or missing:
        return f"{refusal.reason} {refusal.field}: {refusal.text[:200]}, without {[part[:40] for part in missing]}"
    return None


async def _refusal(paper: InProcess, channel: grpc.aio.Channel, message: Message) -> Refused | None:
    stub = BrokerServiceStub(channel)
    try:
        match message:
            case BrokerRequest():
                return await _refusal_in_the_dialog(paper, message)
            case SubscriptionChange():
                call = stub.Quotes()
                await call.write(QuotesRequest(changes=[message]))
                await call.done_writing()
                await anext(aiter(call))
            case ListInstrumentsRequest():
                await stub.ListInstruments(message)
            case ListBarsRequest():
                await stub.ListBars(message)
            case MarketUpdate():
                await ScriptServiceStub(channel).Step(
                    StepRequest(updates=[MarketUpdate(key=_KEY, feed_state=FEED_STATE_FRESH), message])
                )
            case _:
                raise AssertionError(message)
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    return None


async def _refusal_in_the_dialog(paper: InProcess, message: BrokerRequest) -> Refused | None:
    async with BrokerDialog(paper.address) as dialog:
        if not message.HasField("hello"):
            await dialog.hello()
            await dialog.recovered()
        await dialog.says(message, BrokerRequest(heartbeat=RequestHeartbeat()))
        heard = await dialog.hears_anything()
    match heard.WhichOneof("change"):
        case "rejected":
            told: Any = heard.rejected
        case "modify_rejected":
            told = heard.modify_rejected
        case _:
            return None
    return Refused(grpc.StatusCode.OK, Reason.Name(told.reason).removeprefix("REASON_"), told.text)


async def _with_an_order(paper: InProcess) -> None:
    order = deepcopy(SOUND[1])
    assert isinstance(order, BrokerRequest)
    order.order.order_ref = order.order.request_ref = "O1"
    async with BrokerDialog(paper.address) as dialog:
        await dialog.hello()
        await dialog.recovered()
        await dialog.says(order)
        await dialog.hears("ack")


async def _everything(paper: InProcess) -> list[BrokerEvent]:
    """What an EMS that comes is told that stands; the head moves with each rejection."""
    async with BrokerDialog(paper.address) as dialog:
        await dialog.hello(open_refs=["O1"])
        told = await dialog.recovered()
    standing = [event for event in told if event.WhichOneof("change") in ("ref_state", "position", "balance")]
    for event in standing:
        event.ClearField("time")
        event.ClearField("receive_time")
    return standing
