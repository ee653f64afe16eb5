"""Both ways of the trades dialogue: what a broker says arrives or is named as malformed; what the EMS asks is whole."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from ems_service.convert import broker
from ems_service.convert.broker import ProtocolError
from ems_service.convert.hello import Caller, hello
from ems_service.core import inputs
from ems_service.core.inputs import Cause
from ems_service.core.market import Listing
from ems_service.core.values import (
    BrokerState,
    Environment,
    Fate,
    Liquidity,
    Money,
    OrdType,
    Reason,
    TimeInForce,
)
from pitline.broker.v1 import capabilities_pb2, event_pb2, request_pb2
from pitline.broker.v1.broker_service_pb2 import TradesRequest
from pitline.broker.v1.event_pb2 import BrokerEvent
from pitline.types.v1 import account_pb2, execution_pb2, instrument_pb2, money_pb2, order_pb2, reason_pb2
from support.ems_core import NOON_NS, connected, terms

CAUSE = Cause(broker="paper", broker_seq=7)


def _said(**change: object) -> BrokerEvent:
    event = BrokerEvent(broker_seq=7, **change)  # pyright: ignore[reportArgumentType]
    event.time.FromNanoseconds(NOON_NS)
    event.receive_time.FromNanoseconds(NOON_NS + 3)
    return event


def _fill(**changed: object) -> BrokerEvent:
    fields: dict[str, object] = {
        "exec_id": "E",
        "signed_qty": "-1.5",
        "price": "99.5",
        "fee": money_pb2.Money(amount="-0.25", currency="USD"),
        "liquidity": execution_pb2.LIQUIDITY_MAKER,
    }
    fill = execution_pb2.Fill(**{**fields, **changed})  # pyright: ignore[reportArgumentType]
    fill.market_time.FromNanoseconds(NOON_NS - 3)
    return _said(fill=event_pb2.OrderFill(order_ref="R", account="main", symbol="X-USD", fill=fill))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            _said(ack=event_pb2.Ack(order_ref="R", broker_order_id="B")),
            inputs.Acked(CAUSE, "R", "B", NOON_NS, NOON_NS + 3),
        ),
        (
            _fill(),
            inputs.Filled(
                CAUSE,
                "R",
                "paper.main",
                "X-USD",
                "E",
                Decimal("-1.5"),
                Decimal("99.5"),
                Money(Decimal("-0.25"), "USD"),
                Liquidity.MAKER,
                NOON_NS - 3,
                NOON_NS + 3,
            ),
        ),
        (
            _said(rejected=event_pb2.Rejected(order_ref="R", reason=reason_pb2.REASON_NO_MARKET, text="no")),
            inputs.Rejected(CAUSE, "R", reason_pb2.REASON_NO_MARKET, "no", NOON_NS),
        ),
        (
            _said(rejected=event_pb2.Rejected(order_ref="R")),
            inputs.Rejected(CAUSE, "R", Reason.BROKER_REJECTED, "", NOON_NS),
        ),
        (
            _said(canceled=event_pb2.Canceled(order_ref="R", request_ref="C", text="as asked")),
            inputs.Canceled(CAUSE, "R", Reason.UNSPECIFIED, "as asked", NOON_NS),
        ),
        (
            _said(cancel_rejected=event_pb2.CancelRejected(order_ref="R", reason=reason_pb2.REASON_TOO_LATE)),
            inputs.CancelRejected(CAUSE, "R", Reason.TOO_LATE, ""),
        ),
        (
            _said(cancel_rejected=event_pb2.CancelRejected(order_ref="R")),
            inputs.CancelRejected(CAUSE, "R", Reason.BROKER_REJECTED, ""),
        ),
        (
            _said(expired=event_pb2.Expired(order_ref="R", text="end of day")),
            inputs.Expired(CAUSE, "R", "end of day", NOON_NS),
        ),
        (
            _said(
                hello_ack=event_pb2.HelloAck(
                    store_id="S",
                    environment=account_pb2.ENVIRONMENT_LIVE,
                    accounts=[account_pb2.Account(account="main", base_currency="USD")],
                    head_broker_seq=41,
                )
            ),
            inputs.Hello(CAUSE, "S", Environment.LIVE, ("paper.main",), ("USD",), 41),
        ),
        (
            _said(ref_state=event_pb2.RefState(order_ref="R", fate=event_pb2.FATE_WORKING, cum_qty="0.5")),
            inputs.RefState(CAUSE, "R", Fate.WORKING, Decimal("0.5"), Reason.UNSPECIFIED, "", ""),
        ),
        (
            _said(position=event_pb2.PositionReport(account="main", symbol="X-USD", signed_qty="-5", avg_px="90")),
            inputs.PositionReport(CAUSE, "paper.main", "X-USD", Decimal(-5), Decimal(90)),
        ),
        (
            _said(position=event_pb2.PositionReport(account="main", symbol="X-USD", signed_qty="0")),
            inputs.PositionReport(CAUSE, "paper.main", "X-USD", Decimal(0), None),
        ),
        (
            _said(
                balance=event_pb2.BalanceReport(account="main", cash=[money_pb2.Money(amount="-1.50", currency="USD")])
            ),
            inputs.BalanceReport(CAUSE, "paper.main", (Money(Decimal("-1.5"), "USD"),)),
        ),
        (
            _said(link=event_pb2.Link(state=event_pb2.Link.STATE_DEGRADED, text="slow")),
            inputs.LinkChanged(CAUSE, BrokerState.DEGRADED, "slow"),
        ),
        (_said(recover_end=event_pb2.RecoverEnd()), None),
        (_said(heartbeat=event_pb2.BrokerHeartbeat()), None),
        # Newer than this server: an arm that it does not know.
        (_said(), inputs.Unhandled(CAUSE)),
        (BrokerEvent(), None),
    ],
)
def test_what_a_broker_says_arrives(event: BrokerEvent, expected: inputs.Input | None) -> None:
    assert broker.to_input("paper", event) == expected


def test_a_fill_whose_fee_is_not_known_has_none() -> None:
    given = broker.to_input("paper", _fill(fee=None))
    assert isinstance(given, inputs.Filled)
    assert given.fee is None


@pytest.mark.parametrize(
    "event",
    [
        _fill(signed_qty=""),
        _fill(signed_qty="0"),
        _fill(signed_qty="NaN"),
        _fill(signed_qty="1e3"),
        _fill(signed_qty="-1000000000000000"),
        _fill(price=""),
        _fill(price="Infinity"),
        _fill(price="1000000000000000"),
        _fill(fee=money_pb2.Money()),
        _fill(fee=money_pb2.Money(amount="free", currency="USD")),
        _fill(fee=money_pb2.Money(amount="1000000000000000", currency="USD")),
        _fill(exec_id=""),
        _fill(exec_id="E" * 65),
        _said(hello_ack=event_pb2.HelloAck(environment=account_pb2.ENVIRONMENT_PAPER)),
        _said(hello_ack=event_pb2.HelloAck(store_id="S")),
        _said(ref_state=event_pb2.RefState(order_ref="R")),
        _said(ref_state=event_pb2.RefState(order_ref="R", fate=event_pb2.FATE_WORKING, cum_qty="some")),
        _said(position=event_pb2.PositionReport(account="main", symbol="X-USD", signed_qty="five")),
        _said(position=event_pb2.PositionReport(account="main", symbol="X-USD", signed_qty="5", avg_px="NaN")),
        _said(balance=event_pb2.BalanceReport(account="main", cash=[money_pb2.Money(currency="USD")])),
        _said(link=event_pb2.Link()),
    ],
)
def test_what_cannot_be_understood_is_named(event: BrokerEvent) -> None:
    with pytest.raises(ProtocolError, match=f"{event.WhichOneof('change')} with broker_seq 7: "):
        broker.to_input("paper", event)


# What it offers.


def _instrument(**changed: object) -> instrument_pb2.Instrument:
    fields: dict[str, object] = {
        "key": instrument_pb2.InstrumentKey(symbol="X-USD"),
        "quote_currency": "USD",
        "multiplier": "50",
        "ticks": [
            instrument_pb2.TickBand(from_px="0", tick_size="0.01"),
            instrument_pb2.TickBand(from_px="100", tick_size="0.5"),
        ],
        "lot_size": "0.1",
        "min_qty": "0.2",
        "max_qty": "1000",
        "min_notional": "10",
    }
    return instrument_pb2.Instrument(**{**fields, **changed})  # pyright: ignore[reportArgumentType]


def test_an_offer_arrives_with_what_this_server_knows_of_it() -> None:
    declared = capabilities_pb2.Capabilities(
        ord_types=[order_pb2.ORD_TYPE_LIMIT, order_pb2.ORD_TYPE_STOP, 99],  # pyright: ignore[reportArgumentType]
        times_in_force=[order_pb2.TIME_IN_FORCE_DAY, order_pb2.TIME_IN_FORCE_FOK],
    )
    plain = _instrument(
        key=instrument_pb2.InstrumentKey(symbol="Y-USD"), multiplier="", min_qty="", max_qty="", min_notional=""
    )
    offered = broker.offer(declared, [_instrument(), plain])
    assert offered.ord_types == {OrdType.LIMIT, OrdType.STOP}
    assert offered.times_in_force == {TimeInForce.DAY, TimeInForce.FOK}
    bands = ((Decimal(0), Decimal("0.01")), (Decimal(100), Decimal("0.5")))
    assert offered.listings == {
        "X-USD": Listing(
            "X-USD", "USD", Decimal(50), bands, Decimal("0.1"), Decimal("0.2"), Decimal(1000), Decimal(10)
        ),
        "Y-USD": Listing("Y-USD", "USD", Decimal(1), bands, Decimal("0.1"), None, None, None),
    }


@pytest.mark.parametrize(
    "instrument",
    [
        _instrument(lot_size=""),
        _instrument(lot_size="NaN"),
        _instrument(lot_size="0"),
        _instrument(lot_size="-1"),
        _instrument(multiplier="0"),
        _instrument(multiplier="-1"),
        _instrument(ticks=[]),
        _instrument(ticks=[instrument_pb2.TickBand(from_px="0", tick_size="0")]),
        _instrument(ticks=[instrument_pb2.TickBand(from_px="0", tick_size="-0.01")]),
        # Below 1 nothing could be priced.
        _instrument(ticks=[instrument_pb2.TickBand(from_px="1", tick_size="0.01")]),
        _instrument(
            ticks=[
                instrument_pb2.TickBand(from_px="0", tick_size="0.01"),
                instrument_pb2.TickBand(from_px="100", tick_size="0.5"),
                instrument_pb2.TickBand(from_px="10", tick_size="0.1"),
            ]
        ),
        _instrument(min_qty="some"),
    ],
)
def test_an_instrument_that_would_break_a_sum_is_named(instrument: instrument_pb2.Instrument) -> None:
    with pytest.raises(ProtocolError, match="instrument X-USD: "):
        broker.offer(capabilities_pb2.Capabilities(), [instrument])


# What is asked of it.


def _request(framed: bytes) -> request_pb2.BrokerRequest:
    (request,) = TradesRequest.FromString(framed).requests
    return request


@pytest.mark.parametrize(
    ("limit", "ord_type", "limit_px"),
    [("100.0", order_pb2.ORD_TYPE_LIMIT, "100"), ("", order_pb2.ORD_TYPE_MARKET, "")],
)
def test_an_order_goes_out_under_our_ref_and_the_brokers_account(
    limit: str, ord_type: order_pb2.OrdType.ValueType, limit_px: str
) -> None:
    core = connected()
    core.submit("A", terms(qty="1.50", limit=limit, tags={"desk": "7"}))
    assert _request(broker.new_order(core.order("A"))).order == request_pb2.NewOrder(
        order_ref="TESTJRNL0000001",
        request_ref="TESTJRNL0000001",
        account="main",
        symbol="X-USD",
        side=order_pb2.SIDE_BUY,
        order_qty="1.5",
        ord_type=ord_type,
        limit_px=limit_px,
        time_in_force=order_pb2.TIME_IN_FORCE_GTC,
    )


def test_a_cancel_goes_out_under_a_ref_of_its_own() -> None:
    core = connected()
    core.buy("A")
    core.ack("A")
    core.cancel("A")
    expected = request_pb2.CancelOrder(order_ref="TESTJRNL0000001", request_ref="TESTJRNL0000001C1")
    assert _request(broker.cancel_order(core.order("A"))).cancel == expected


def test_what_is_stored_is_told() -> None:
    assert _request(broker.ack_seq(41)).ack_seq.broker_seq == 41


@pytest.mark.parametrize(
    ("say_hello", "durability", "first_contact"),
    [
        (lambda: hello(Caller("ems", "S", "fsync"), "J", 3, None, []), request_pb2.DURABILITY_FSYNC, True),
        (lambda: hello(Caller("ems", "S", "flush"), "J", 3, 0, ["R"]), request_pb2.DURABILITY_FLUSH, False),
    ],
)
def test_a_first_hello_names_no_seq(
    say_hello: Callable[[], list[TradesRequest]], durability: request_pb2.Durability.ValueType, first_contact: bool
) -> None:
    (first,) = say_hello()
    hello = first.requests[0].hello
    assert (hello.ems_id, hello.journal_id, hello.epoch, hello.durability) == ("ems", "J", 3, durability)
    assert hello.HasField("last_broker_seq") is not first_contact
    assert list(hello.open_refs) == ([] if first_contact else ["R"])
