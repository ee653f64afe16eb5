"""Every field that a client can set, one row each: what it must refuse, and how the refusal reads.

The fields are enumerated from the descriptors: of Command and of every request of the three services, with all messages
reachable from them. A field without a row fails, so does a row without a field, and a call that is served without rows.
Every row goes over real sockets; what can be asked without them is asked directly too.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from ems_service.convert import command, group
from ems_service.convert.submit_group import submit_group
from ems_service.core.inputs import Cause
from ems_service.servicers.subscription import opening_of, watching_of
from pitline.ems.v1 import admin_service_pb2, market_data_service_pb2, trading_service_pb2
from pitline.ems.v1.admin_service_pb2 import (
    RESOLUTION_CANCELED,
    AdoptBrokerRequest,
    AdoptPositionRequest,
    GetStatusRequest,
    ResolveOrderRequest,
)
from pitline.ems.v1.command_pb2 import (
    ON_DISCONNECT_CANCEL_MINE,
    AckSeq,
    Cancel,
    CancelGroup,
    ClientHeartbeat,
    Command,
    Logout,
    Modify,
    Open,
    OrderKey,
    OrderSelection,
    Submit,
    SubmitGroup,
    View,
)
from pitline.ems.v1.market_data_service_pb2 import (
    ListBarsRequest,
    ListInstrumentsRequest,
    QuotesRequest,
    Subscription,
)
from pitline.ems.v1.trading_service_pb2 import (
    CancelOrderRequest,
    CancelOrdersRequest,
    GetGroupRequest,
    GetOrderRequest,
    ListAccountsRequest,
    ListOrdersRequest,
    ListPositionsRequest,
    ModifyOrderRequest,
    SubmitOrderRequest,
    SubmitOrdersRequest,
    WatchRequest,
)
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXECUTION_ALERT,
    EXECUTION_DARK,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    TIME_IN_FORCE_GTD,
    OrderTerms,
    Trail,
    Trigger,
)
from pitline_rpc.status import Refused
from support.bad_values import (
    MEGABYTE,
    AnyValue,
    Bad,
    NotTaken,
    Row,
    a_choice,
    a_filter,
    a_number,
    a_symbol,
    an_account,
    an_id,
    at_most,
)
from support.dialog import Client, refused
from support.lines import reason_name
from support.orders import buy
from support.stack import SimStack, sim_stack

WHY = "this server does not take it"


def with_gtd(terms: OrderTerms) -> None:
    terms.time_in_force = TIME_IN_FORCE_GTD


def with_cancel_mine(first: Open) -> None:
    first.on_disconnect = ON_DISCONNECT_CANCEL_MINE


def of_accounts(view: View) -> None:
    view.scope = View.SCOPE_ACCOUNTS


def held_dark(terms: OrderTerms) -> None:
    terms.execution = EXECUTION_DARK
    terms.trigger.price = "100"


def with_trigger(asked: OrderTerms | Modify) -> None:
    if isinstance(asked, OrderTerms):
        asked.execution = EXECUTION_DARK
    asked.trigger.price = "100"


def with_trail(asked: OrderTerms | Modify) -> None:
    if isinstance(asked, OrderTerms):
        asked.ord_type, asked.limit_px = ORD_TYPE_TRAILING_STOP, ""
    asked.trail.amount = "1"


def at_the_market(terms: OrderTerms) -> None:
    terms.ord_type = ORD_TYPE_MARKET


def a_stop(terms: OrderTerms) -> None:
    terms.ord_type, terms.limit_px, terms.stop_px = ORD_TYPE_STOP, "", "100"


def a_stop_limit(terms: OrderTerms) -> None:
    terms.ord_type, terms.stop_px = ORD_TYPE_STOP_LIMIT, "100"


def a_trailing_stop(terms: OrderTerms) -> None:
    terms.ord_type, terms.limit_px, terms.trail.amount = ORD_TYPE_TRAILING_STOP, "", "1"


STOPS = (a_stop, a_stop_limit, a_trailing_stop)


def linked_as(link: int) -> Callable[[Any], None]:
    """Of a group: its orders hang together so."""

    def make(group: Any) -> None:
        group.link = link

    return make


def leg(client_order_id: str = "a-4", **changed: Any) -> Submit:
    """An order of a group."""
    terms = OrderTerms()
    terms.CopyFrom(buy("1", "X-USD", limit="100", account="sim.main"))
    terms.MergeFrom(OrderTerms(**changed))
    return Submit(client_order_id=client_order_id, terms=terms)


_LEG = leg("a-3")


# By message and field; a field of one request alone may have a row of its own, "Request: Message.field".
ROWS: dict[str, Row] = {
    "Command.command_id": an_id(required=False),
    "Command.open": AnyValue("its fields have rows"),
    "Command.submit": [Bad(Submit(), "REQUIRED", "required", where="submit.terms")],
    "Command.modify": [Bad(Modify(), "REQUIRED", "a trigger or an execution")],
    "Command.cancel": [Bad(Cancel(), "REQUIRED", "order_id or client_order_id", where="cancel.order")],
    "Command.cancel_group": [Bad(CancelGroup(), "REQUIRED", "required", where="cancel_group.group_id")],
    "CancelGroup.group_id": an_id(),
    "CancelGroup.selection": [Bad(OrderSelection(), "REQUIRED", "needs a filter, or all")],
    "CancelGroup.deadline_seconds": at_most(3600),
    "OrderSelection.all": AnyValue("with filters it adds nothing"),
    "OrderSelection.accounts": a_filter("sim.main", an_account()),
    "OrderSelection.symbols": a_filter("X-USD", a_symbol()),
    "OrderSelection.side": a_choice("BUY, SELL", required=False),
    "OrderSelection.client_ids": a_filter("A", an_id()),
    "OrderSelection.tags": [
        Bad({f"t{number}": "" for number in range(17)}, "TOO_LARGE", "17 tags, more than 16"),
        *(Bad({bad.value: "x"}, bad.reason, bad.bound) for bad in an_id()),
        Bad({"t": "x" * 257}, "TOO_LARGE", "longer than 256 bytes", where="cancel_group.selection.tags.t"),
        Bad({"t": "x" * MEGABYTE}, "TOO_LARGE", "longer than 256 bytes", where="cancel_group.selection.tags.t"),
    ],
    "OrderSelection.order_ids": a_filter("J-1", an_id()),
    "OrderSelection.execution": a_choice("LIVE, DARK, ALERT", required=False),
    "CancelOrdersRequest.client_id": an_id(),
    "CancelOrdersRequest.cancel_group": [Bad(CancelGroup(), "REQUIRED", "required", where="cancel_group.group_id")],
    "CancelOrdersRequest.wait_for": a_choice("COMMITTED, ACKED, DONE", required=False),
    "CancelOrdersRequest.command_id": an_id(required=False),
    "GetGroupRequest.client_id": an_id(),
    "GetGroupRequest.group_id": an_id(),
    "Command.submit_group": [Bad(SubmitGroup(), "REQUIRED", "required", where="submit_group.group_id")],
    "SubmitGroup.group_id": an_id(),
    "SubmitGroup.link": a_choice("BASKET, ONE_CANCELS_OTHER, ONE_TRIGGERS_OTHER, BRACKET", required=False),
    "SubmitGroup.orders": [
        Bad([], "REQUIRED", "0 orders, and a BASKET 1 to 100"),
        Bad([Submit()] * 101, "TOO_LARGE", "101 orders, and a BASKET 1 to 100"),
        Bad([Submit()], "REQUIRED", "required", where="submit_group.orders[0].terms"),
        Bad([_LEG], "REQUIRED", "1 orders, and a ONE_CANCELS_OTHER 2 to 100", given=linked_as(2)),
        Bad([_LEG], "REQUIRED", "1 orders, and a ONE_TRIGGERS_OTHER 2 to 100", given=linked_as(3)),
        Bad([_LEG] * 2, "REQUIRED", "2 orders, and a BRACKET exactly 3", given=linked_as(4)),
        Bad([_LEG] * 4, "TOO_LARGE", "4 orders, and a BRACKET exactly 3", given=linked_as(4)),
        Bad([_LEG] * 2, "DUPLICATE_ID", "an order before it has", where="submit_group.orders[1].client_order_id"),
        *(
            Bad([_LEG, other], "UNSUPPORTED", bound, where=f"submit_group.orders[1].terms.{field}", given=linked_as(2))
            for field, bound, other in (
                ("account", "sim.other", leg(account="sim.other")),
                ("symbol", "Y-USD", leg(symbol="Y-USD")),
                ("order_qty", "the first is for 1", leg(order_qty="2")),
                (
                    "execution",
                    "an alert is linked to nothing",
                    leg(execution=EXECUTION_ALERT, trigger=Trigger(price="9")),
                ),
            )
        ),
        Bad(
            [_LEG, leg(), leg(client_order_id="a-5")],
            "UNSUPPORTED",
            "BUY, and so is the entry",
            where="submit_group.orders[1].terms.side",
            given=linked_as(4),
        ),
    ],
    "SubmitOrdersRequest.client_id": an_id(),
    "SubmitOrdersRequest.submit_group": [Bad(SubmitGroup(), "REQUIRED", "required", where="submit_group.group_id")],
    "SubmitOrdersRequest.wait_for": a_choice("COMMITTED, ACKED, DONE", required=False),
    "SubmitOrdersRequest.command_id": an_id(required=False),
    "Command.ack_seq": AnyValue("an AckSeq without a seq acknowledges nothing"),
    "Command.heartbeat": AnyValue("it has no fields"),
    "Command.logout": AnyValue("it has no fields"),
    "AckSeq.seq": AnyValue("nothing is forgotten because of it"),
    "Open.client_id": an_id(),
    "Open.journal_id": an_id(required=False),
    "Open.resume_after_seq": [Bad(seq, "UNSUPPORTED", "journal_id is not") for seq in (1, 2**64 - 1)],
    "Open.view": AnyValue("its fields have rows; an empty one is OWN"),
    "Open.on_disconnect": a_choice("KEEP, CANCEL_MINE", required=False),
    "Open.disconnect_grace_seconds": [
        Bad(3601, "OUT_OF_RANGE", "more than 3600", given=with_cancel_mine),
        Bad(2**32 - 1, "OUT_OF_RANGE", "more than 3600", given=with_cancel_mine),
        Bad(1, "UNSUPPORTED", "only CANCEL_MINE has a grace"),
    ],
    "Open.disconnect_includes_dark": [
        Bad(True, "UNSUPPORTED", "only CANCEL_MINE cancels"),
    ],
    "Open.heartbeat_seconds": at_most(60),
    "View.scope": a_choice("OWN, ACCOUNTS", required=False),
    "View.accounts": [
        Bad(["sim.main"], "UNSUPPORTED", "the scope is OWN"),
        Bad(["sim.main"] * 1000, "UNSUPPORTED", "the scope is OWN"),
        *a_filter("sim.main", an_account(), of_accounts),
    ],
    "Submit.client_order_id": an_id(),
    "Submit.terms": [Bad(OrderTerms(), "REQUIRED", "<broker>.<account>", where="submit.terms.account")],
    "OrderTerms.account": an_account(),
    "OrderTerms.symbol": a_symbol(),
    "OrderTerms.side": a_choice("BUY, SELL", required=True),
    "OrderTerms.order_qty": a_number(),
    "OrderTerms.ord_type": a_choice("LIMIT, MARKET, STOP, STOP_LIMIT, TRAILING_STOP", required=True),
    "OrderTerms.limit_px": [
        *a_number(),
        Bad("100", "UNSUPPORTED", "a MARKET order has none", given=at_the_market),
        Bad("100", "UNSUPPORTED", "a STOP order has none", given=a_stop),
        Bad("100", "UNSUPPORTED", "a TRAILING_STOP order has none", given=a_trailing_stop),
        Bad("", "REQUIRED", "a decimal number > 0", given=a_stop_limit),
    ],
    "OrderTerms.time_in_force": a_choice("DAY, GTC, IOC, FOK, GTD", required=False),
    "OrderTerms.execution": [
        *a_choice("LIVE, DARK, ALERT", required=False),
        *(Bad(value, "UNSUPPORTED", "order is LIVE", given=given) for value in (2, 3) for given in STOPS),
    ],
    "OrderTerms.stop_px": [
        Bad("100", "UNSUPPORTED", "a LIMIT order has none"),
        Bad("100", "UNSUPPORTED", "a TRAILING_STOP order has none", given=a_trailing_stop),
        *(replace(bad, given=given) for bad in a_number() for given in (a_stop, a_stop_limit)),
    ],
    "OrderTerms.trail": [
        Bad(None, "REQUIRED", "amount or percent", given=a_trailing_stop),
        Bad(Trail(), "REQUIRED", "amount or percent", given=a_trailing_stop),
        *(Bad(Trail(amount="1"), "UNSUPPORTED", "only TRAILING_STOP has one", given=given) for given in (None, a_stop)),
    ],
    "Trail.amount": a_number(),
    "Trail.percent": [*a_number(), *(Bad(value, "OUT_OF_RANGE", "not < 100") for value in ("100", "100.5"))],
    "Trail.mark_px": [Bad(value, "UNSUPPORTED", "the EMS tells it") for value in ("100", "NaN", "x" * MEGABYTE)],
    "OrderTerms.expire_time": [
        Bad(None, "REQUIRED", "required with GTD", given=with_gtd),
        Bad(Timestamp(seconds=2_000_000_000), "UNSUPPORTED", "only GTD has one"),
        Bad(Timestamp(), "UNSUPPORTED", "only GTD has one"),
    ],
    "Timestamp.seconds": [
        Bad(seconds, "OUT_OF_RANGE", "not within 1970 to 9999")
        for seconds in (-1, 253_402_300_800, 2**63 - 1, -(2**63))
    ],
    "Timestamp.nanos": [
        Bad(nanos, "OUT_OF_RANGE", "not within 1970 to 9999") for nanos in (-1, 1_000_000_000, 2**31 - 1)
    ],
    "OrderTerms.exec_inst": [
        Bad([0], "REQUIRED", "POST_ONLY, REDUCE_ONLY"),
        Bad([99], "UNKNOWN_VALUE", "99, not one of POST_ONLY, REDUCE_ONLY"),
        Bad([EXEC_INST_POST_ONLY, -1], "UNKNOWN_VALUE", "-1, not one of"),
        Bad([EXEC_INST_POST_ONLY, EXEC_INST_POST_ONLY], "MALFORMED", "twice: POST_ONLY"),
        Bad([EXEC_INST_POST_ONLY] * 100_000, "MALFORMED", "twice: POST_ONLY"),
    ],
    "OrderTerms.trigger": [
        Bad(Trigger(price="100"), "UNSUPPORTED", "only DARK and ALERT have one"),
        Bad(Trigger(price="100"), "UNSUPPORTED", "only DARK and ALERT have one", given=a_stop),
        Bad(None, "REQUIRED", "required with DARK", given=held_dark),
    ],
    "Trigger.price": a_number(),
    "Trigger.signal": [Bad(value, "UNSUPPORTED", WHY) for value in ("sma", "x" * MEGABYTE)],
    "Trigger.signal_level": [Bad(value, "UNSUPPORTED", WHY) for value in ("1", "NaN", "x" * MEGABYTE)],
    "Trigger.source": a_choice("DEFAULT, BID, ASK, LAST", required=False),
    "Trigger.direction": a_choice("UP, DOWN", required=False),
    "OrderTerms.max_slippage": [
        Bad("1", "UNSUPPORTED", "only DARK has one"),
        *(Bad(value, "MALFORMED", "max_slippage", given=held_dark) for value in ("NaN", "1e3", "x" * MEGABYTE)),
        *(Bad(value, "OUT_OF_RANGE", ">= 0", given=held_dark) for value in ("-1", "1000000000000000")),
    ],
    "OrderTerms.route": [
        Bad(1, "UNSUPPORTED", "and account"),
        *(Bad(value, "UNKNOWN_VALUE", "not one of BEST") for value in (99, -1)),
    ],
    "OrderTerms.tags": [
        Bad({f"t{number}": "" for number in range(17)}, "TOO_LARGE", "17 tags, more than 16"),
        *(Bad({bad.value: "x"}, bad.reason, bad.bound) for bad in an_id()),
        Bad({"t": "x" * 257}, "TOO_LARGE", "longer than 256 bytes", where="submit.terms.tags.t"),
        Bad({"t": "ä" * 129}, "TOO_LARGE", "longer than 256 bytes", where="submit.terms.tags.t"),
        Bad({"t": "x" * MEGABYTE}, "TOO_LARGE", "longer than 256 bytes", where="submit.terms.tags.t"),
    ],
    "Modify.order": [Bad(OrderKey(), "REQUIRED", "order_id or client_order_id")],
    "Modify.order_qty": a_number(required=False),
    "Modify.limit_px": a_number(required=False),
    "Modify.stop_px": a_number(required=False),
    "Modify.trail": [Bad(Trail(), "REQUIRED", "amount or percent")],
    "Modify.trigger": [Bad(Trigger(), "REQUIRED", "required", where="modify.trigger.price")],
    "Modify.execution": [
        Bad(3, "UNSUPPORTED", "becomes no alert"),
        *(Bad(value, "UNKNOWN_VALUE", "LIVE, DARK, ALERT") for value in (99, -1)),
    ],
    "Cancel.order": [Bad(OrderKey(), "REQUIRED", "order_id or client_order_id")],
    "OrderKey.order_id": an_id(),
    "OrderKey.client_order_id": an_id(),
    "OrderKey.client_id": an_id(required=False),
    "SubmitOrderRequest.client_id": an_id(),
    "SubmitOrderRequest.submit": [Bad(Submit(), "REQUIRED", "required", where="submit.terms")],
    "SubmitOrderRequest.wait_for": a_choice("COMMITTED, ACKED, DONE", required=False),
    "SubmitOrderRequest.command_id": an_id(required=False),
    "ModifyOrderRequest.client_id": an_id(),
    "ModifyOrderRequest.modify": [Bad(Modify(), "REQUIRED", "a trigger or an execution")],
    "ModifyOrderRequest.wait_for": a_choice("COMMITTED, ACKED, DONE", required=False),
    "ModifyOrderRequest.command_id": an_id(required=False),
    "CancelOrderRequest.client_id": an_id(),
    "CancelOrderRequest.cancel": [Bad(Cancel(), "REQUIRED", "order_id or client_order_id", where="cancel.order")],
    "CancelOrderRequest.wait_for": a_choice("COMMITTED, ACKED, DONE", required=False),
    "CancelOrderRequest.command_id": an_id(required=False),
    "GetOrderRequest.client_id": an_id(required=False),
    "GetOrderRequest.order": [Bad(OrderKey(), "REQUIRED", "order_id or client_order_id")],
    "ListOrdersRequest.client_ids": a_filter("A", an_id()),
    "ListOrdersRequest.accounts": a_filter("sim.main", an_account()),
    "ListOrdersRequest.symbols": a_filter("X-USD", a_symbol()),
    "ListOrdersRequest.open_only": AnyValue("both are asked for"),
    "ListOrdersRequest.page_size": at_most(1000),
    "ListOrdersRequest.page_token": [
        Bad(value, "MALFORMED", "none that this server gave")
        for value in ("x", "-1", "1.5", "٣", "9" * 20, "9" * MEGABYTE)
    ],
    "ListPositionsRequest.accounts": [
        *a_filter("sim.main", an_account()),
        Bad(["sim.nobody"], "UNKNOWN_ACCOUNT", "sim.nobody"),
    ],
    "ListPositionsRequest.symbols": a_filter("X-USD", a_symbol()),
    "ListPositionsRequest.include_flat": AnyValue("both are asked for"),
    "ListPositionsRequest.page_size": at_most(1000),
    "ListPositionsRequest.page_token": [
        Bad(value, "MALFORMED", "none that this server gave")
        for value in ("x", "sim.main", "sim.main X USD", "sim.main ü", "9" * MEGABYTE)
    ],
    "WatchRequest.client_id": an_id(),
    "WatchRequest.journal_id": an_id(required=False),
    "WatchRequest.resume_after_seq": [Bad(seq, "UNSUPPORTED", "journal_id is not") for seq in (1, 2**64 - 1)],
    "WatchRequest.view": AnyValue("its fields have rows; an empty one is OWN"),
    "WatchRequest.symbols": a_filter("X-USD", a_symbol()),
    "WatchRequest.client_ids": a_filter("A", an_id()),
    "WatchRequest.heartbeat_seconds": at_most(60),
    "ListInstrumentsRequest.broker": [
        Bad(value, "UNKNOWN_SYMBOL", "no broker") for value in ("nobody", "a b", "x" * MEGABYTE)
    ],
    "ListInstrumentsRequest.symbol_prefix": a_symbol(required=False),
    "ListInstrumentsRequest.page_size": at_most(1000),
    "ListInstrumentsRequest.page_token": [
        Bad(value, "MALFORMED", "none that this server gave")
        for value in ("x", "sim:", ":X-USD", "sim:X USD", "sim:X-USD\n", "sim:" + "x" * 33, "x" * MEGABYTE)
    ],
    "QuotesRequest.subscriptions": [
        Bad([], "OUT_OF_RANGE", "0 subscriptions, not 1 to 1000"),
        Bad([Subscription()] * 1001, "OUT_OF_RANGE", "1001 subscriptions, not 1 to 1000"),
        Bad([Subscription()], "REQUIRED", "1 to 32", where="subscriptions[0].key.symbol"),
    ],
    "Subscription.key": [Bad(InstrumentKey(), "REQUIRED", "1 to 32", where="subscriptions[0].key.symbol")],
    "InstrumentKey.broker": [
        Bad("", "REQUIRED", "required"),
        *(Bad(value, "UNKNOWN_SYMBOL", "no broker") for value in ("nobody", "a b", "x" * MEGABYTE)),
    ],
    "InstrumentKey.symbol": [*a_symbol(), Bad("NO-SUCH", "UNKNOWN_SYMBOL", "is not known at sim")],
    "Subscription.throttle_hz": [
        Bad(value, "OUT_OF_RANGE", "not 0 to 1000") for value in (-1.0, 1000.5, float("nan"), float("inf"))
    ],
    "Subscription.depth": at_most(1000),
    "Subscription.trades": AnyValue("both are asked for"),
    "ResolveOrderRequest.order_id": [*an_id(), Bad("no-such-order", "UNKNOWN_ORDER", "no order no-such-order")],
    "ResolveOrderRequest.text": [
        Bad("", "REQUIRED", "1 to 256 characters"),
        *(Bad("x" * length, "TOO_LARGE", "more than 256") for length in (257, MEGABYTE)),
    ],
    "ResolveOrderRequest.resolution": a_choice("WORKING, CANCELED, REJECTED, EXPIRED, NEVER_RECEIVED", required=True),
    "AdoptPositionRequest.account": an_account(),
    "AdoptPositionRequest.symbol": [*a_symbol(), Bad("Y-USD", "TOO_LATE", "no other position of sim.main")],
    "AdoptBrokerRequest.broker": [*an_id(), Bad("nobody", "UNKNOWN_ACCOUNT", "no broker nobody")],
    "AdoptBrokerRequest.store_id": [*an_id(), Bad("S2", "TOO_LATE", "which broker sim was not refused for")],
    "Subscription.bar_interval_seconds": [
        *(
            Bad([60, value], "OUT_OF_RANGE", "not 1 to 86400", where="subscriptions[0].bar_interval_seconds[1]")
            for value in (0, 86_401, 2**32 - 1)
        ),
        Bad([60] * 17, "TOO_LARGE", "more than 16"),
    ],
    "ListBarsRequest.key": [Bad(InstrumentKey(), "REQUIRED", "1 to 32", where="key.symbol")],
    "ListBarsRequest.interval_seconds": [
        Bad(value, "OUT_OF_RANGE", "not 1 to 86400") for value in (0, 86_401, 2**32 - 1)
    ],
    "ListBarsRequest.start_time": AnyValue("its fields have rows; without it from the beginning"),
    "ListBarsRequest.end_time": AnyValue("its fields have rows; without it until now"),
    "ListBarsRequest.page_size": at_most(10_000),
    "ListBarsRequest.page_token": [
        Bad(value, "MALFORMED", "none that this server gave") for value in ("x", "-1", "٣", "9" * 21, "9" * MEGABYTE)
    ],
}

SERVICES = {
    service.name: service
    for contract in (trading_service_pb2, market_data_service_pb2, admin_service_pb2)
    for service in contract.DESCRIPTOR.services_by_name.values()
}
METHODS = [method for service in SERVICES.values() for method in service.methods]

NOT_SERVED = {
    "Signals",
    "Halt",
    "Resume",
    "Grant",
    "Revoke",
    "ListGrants",
    "SetRiskLimits",
    "ListRiskLimits",
}
"""Calls that this server does not answer at all, whatever they ask; the fields of their requests need no rows."""

_TERMS = buy("1", "X-USD", limit="100", account="sim.main")
_KEY = OrderKey(client_order_id="a-1", client_id="A")
_OURS = OrderKey(order_id="no-such-order")

# Sound messages, one for each arm, in which one field at a time is spoiled.
SOUND: list[Message] = [
    Command(open=Open(client_id="A", view=View())),
    Command(submit=Submit(client_order_id="a-2", terms=_TERMS)),
    Command(modify=Modify(order=_KEY, limit_px="99")),
    Command(modify=Modify(order=_OURS, limit_px="99")),
    Command(cancel=Cancel(order=_KEY)),
    Command(cancel=Cancel(order=_OURS)),
    Command(ack_seq=AckSeq()),
    Command(heartbeat=ClientHeartbeat()),
    Command(logout=Logout()),
    Command(cancel_group=CancelGroup(group_id="g", selection=OrderSelection(symbols=["NONE"]))),
    CancelOrdersRequest(
        client_id="A", cancel_group=CancelGroup(group_id="g", selection=OrderSelection(symbols=["NONE"]))
    ),
    GetGroupRequest(client_id="A", group_id="g"),
    Command(submit_group=SubmitGroup(group_id="g", orders=[_LEG])),
    SubmitOrdersRequest(client_id="A", submit_group=SubmitGroup(group_id="g", orders=[_LEG])),
    SubmitOrderRequest(client_id="A", submit=Submit(client_order_id="a-2", terms=_TERMS)),
    ModifyOrderRequest(client_id="A", modify=Modify(order=_KEY, limit_px="99")),
    ModifyOrderRequest(client_id="A", modify=Modify(order=_OURS, limit_px="99")),
    CancelOrderRequest(client_id="A", cancel=Cancel(order=_KEY)),
    CancelOrderRequest(client_id="A", cancel=Cancel(order=_OURS)),
    GetOrderRequest(order=_OURS),
    GetOrderRequest(client_id="A", order=OrderKey(client_order_id="a-1")),
    ListOrdersRequest(),
    ListPositionsRequest(),
    ListAccountsRequest(),
    WatchRequest(client_id="A", view=View()),
    ListInstrumentsRequest(),
    GetStatusRequest(),
    ResolveOrderRequest(order_id="no-such-order", resolution=RESOLUTION_CANCELED, text="told on the phone"),
    AdoptPositionRequest(account="sim.main", symbol="X-USD"),
    AdoptBrokerRequest(broker="sim", store_id="S2"),
    QuotesRequest(subscriptions=[Subscription(key=InstrumentKey(broker="sim", symbol="X-USD"))]),
    ListBarsRequest(key=InstrumentKey(broker="sim", symbol="X-USD"), interval_seconds=60),
]


# What is enumerated


def roots() -> list[Descriptor]:
    """The message of each call that a client makes; of the Trade stream each single command."""
    served = [method.input_type for method in METHODS if method.name not in NOT_SERVED]
    return [Command.DESCRIPTOR if request.name == "TradeRequest" else request for request in served]


@dataclass(frozen=True, slots=True)
class Place:
    """A field in a message that a client sends; `path` from the message down, arms of a oneof as any field."""

    root: Descriptor
    path: tuple[FieldDescriptor, ...]

    @property
    def key(self) -> str:
        """The name of its row."""
        field = self.path[-1]
        assert field.containing_type is not None
        return f"{field.containing_type.name}.{field.name}"

    @property
    def dotted(self) -> str:
        """As refusals have it: a message of a list by its place in it, a value of a list by the list's name."""
        names = [f"{field.name}[0]" if field.is_repeated and _is_message(field) else field.name for field in self.path]
        return ".".join((*names[:-1], self.path[-1].name))


def _is_message(field: FieldDescriptor) -> bool:
    return field.message_type is not None and not field.message_type.GetOptions().map_entry


def _message_of(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None, field.name
    return field.message_type


def places(root: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[Place]:
    """Every field of a message and of those in it, down to what is not taken."""
    for field in (_message_of(path[-1]) if path else root).fields:
        place = Place(root, (*path, field))
        yield place
        if _is_message(field) and not isinstance(ROWS.get(place.key), NotTaken):
            yield from places(root, place.path)


def below(place: Place) -> Iterator[Place]:
    """Every field under one that is not taken."""
    if not _is_message(place.path[-1]):
        return
    for field in _message_of(place.path[-1]).fields:
        under = Place(place.root, (*place.path, field))
        yield under
        if _is_message(field) and field.message_type not in [other.message_type for other in place.path]:
            yield from below(under)


PLACES = [place for root in roots() for place in places(root)]


# What is made of it


@dataclass(frozen=True, slots=True)
class Case:
    """A message with one thing wrong, and the refusal that it must meet."""

    name: str
    message: Message
    field: str
    reason: str
    shown: str
    bound: str

    def complaint(self, refusal: Refused | None) -> str | None:
        """What is wrong with the refusal; None if nothing is."""
        if refusal is None:
            return f"{self.name}: taken"
        if (refusal.reason, refusal.field) != (self.reason, self.field):
            return f"{self.name}: {refusal.reason} of {refusal.field}, not {self.reason} of {self.field}"
        name = self.field.rpartition(".")[2].partition("[")[0]
        # What is sound, and is not there, is named by its value.
        expected = (
            (self.shown, self.bound) if refusal.code is grpc.StatusCode.NOT_FOUND else (name, self.shown, self.bound)
        )
        missing = [part for part in expected if part not in refusal.text]
        return f"{self.name}: the text has no {missing}: {refusal.text}" if missing else None


def cases(place: Place) -> Iterator[Case]:
    """Each bad value in each sound message that has a place for it."""
    row = ROWS.get(place.key)
    match row:
        case None | AnyValue():
            return
        case NotTaken():
            for under in (place, *below(place)):
                for message in _spoiled(under, _sample(under.path[-1]), None):
                    name = f"{place.root.name} {under.dotted}"
                    yield Case(name, message, place.dotted, "UNSUPPORTED", "", "does not take")
        case _:
            for bad in row:
                for message in _spoiled(place, bad.value, bad.given):
                    name = f"{place.root.name} {place.dotted} {bad}"
                    # A time is refused as a whole.
                    field = place.dotted.rpartition(".")[0] if place.key.startswith("Timestamp.") else place.dotted
                    yield Case(name, message, _where(bad, place) or field, bad.reason, bad.shown, bad.bound)


def _where(bad: Bad, place: Place) -> str:
    """The field below a submit is named alike below an order of a group."""
    beginning = "submit.terms."
    if not bad.where.startswith(beginning):
        return bad.where
    return f"{place.dotted.partition('terms')[0]}terms.{bad.where.removeprefix(beginning)}"


def _spoiled(place: Place, value: Any, also: Callable[[Any], None] | None) -> Iterator[Message]:
    """The sound messages with this value in this place. The arm of a oneof must be there already."""
    for sound in SOUND:
        if sound.DESCRIPTOR is not place.root:
            continue
        message = deepcopy(sound)
        parent: Any = message
        for field in place.path[:-1]:
            if field.containing_oneof is not None and not parent.HasField(field.name):
                break
            if field.message_type is Timestamp.DESCRIPTOR and isinstance(parent, OrderTerms):
                with_gtd(parent)
            if field.message_type is Trigger.DESCRIPTOR:
                with_trigger(parent)
            if field.message_type is Trail.DESCRIPTOR:
                with_trail(parent)
            child = getattr(parent, field.name)
            parent = (child[0] if child else child.add()) if field.is_repeated else child
        else:
            field = place.path[-1]
            if place.key in ("OrderKey.order_id", "OrderKey.client_order_id") and not parent.HasField(field.name):
                continue
            if also is not None:
                also(parent)
            _put(parent, field, value)
            yield message
            if place.path[0].containing_oneof is not None and len(place.path) == 1:
                return  # a whole arm: the other sound messages would give the same


def _put(parent: Any, field: FieldDescriptor, value: Any) -> None:
    if value is None:
        parent.ClearField(field.name)
    elif field.is_repeated:
        parent.ClearField(field.name)
        getattr(parent, field.name).update(value) if isinstance(value, dict) else getattr(parent, field.name).extend(
            value
        )
    elif field.message_type is not None:
        parent.ClearField(field.name)
        getattr(parent, field.name).SetInParent()
        getattr(parent, field.name).CopyFrom(value)
    else:
        setattr(parent, field.name, value)


def _sample(field: FieldDescriptor) -> Any:
    """Any value that the field can hold and that is not its default."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"t": "x"}
    if field.message_type is not None:
        one: Any = GetMessageClass(field.message_type)()
    else:
        one = {
            FieldDescriptor.CPPTYPE_STRING: "1",
            FieldDescriptor.CPPTYPE_BOOL: True,
            FieldDescriptor.CPPTYPE_DOUBLE: 1.0,
        }.get(field.cpp_type, 1)
    return [one] if field.is_repeated else one


ALL_CASES = [case for place in PLACES for case in cases(place)]


# The table itself


def test_the_three_services_are_all_there_are() -> None:
    assert sorted(SERVICES) == ["AdminService", "MarketDataService", "TradingService"]
    assert {method.name for method in METHODS} > NOT_SERVED


def test_every_call_that_is_served_has_a_sound_message() -> None:
    sound = {message.DESCRIPTOR.name for message in SOUND}
    assert {root.name for root in roots()} == sound


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    fields = {place.key for place in PLACES}
    assert fields - set(ROWS) == set(), "fields without a row"
    assert set(ROWS) - fields == set(), "rows without a field"


def test_every_row_says_what_its_kind_of_field_must_refuse() -> None:
    for place in PLACES:
        field, row = place.path[-1], ROWS[place.key]
        if not isinstance(row, Sequence):
            continue
        values: list[Any] = []
        for bad in row:
            values += [*bad.value] if field.is_repeated else [bad.value]
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            assert any(len(value) >= MEGABYTE for value in values), f"{place.key}: nothing too large"
        if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
            assert {99, -1} <= set(values), f"{place.key}: no unknown number"


def test_every_row_is_put_to_every_message_that_has_the_field() -> None:
    used = {case.name.partition(" ")[0] + " " + case.name.split(" ")[1] for case in ALL_CASES}
    for place in PLACES:
        if not isinstance(ROWS[place.key], AnyValue):
            assert f"{place.root.name} {place.dotted}" in used, f"no sound message has {place.root.name} {place.dotted}"


# Asked directly


def directly(message: Message) -> Refused | None:
    """What the functions that check a message say of it; None when it is taken."""
    cause = Cause("local", "A")
    try:
        match message:
            case Command():
                _command(message, cause)
            case SubmitOrdersRequest():
                submit_group(message.submit_group, cause)
            case SubmitOrderRequest():
                command.submit(message.submit, cause)
            case ModifyOrderRequest():
                command.modify(message.modify, cause)
            case CancelOrderRequest():
                command.cancel(message.cancel, cause)
            case GetOrderRequest():
                command.order_key(message.order, "order", message.client_id)
            case WatchRequest():
                watching_of(message, "local")
            case _:
                raise AssertionError(message)
    except Refused as refusal:
        return refusal
    return None


def _command(message: Command, cause: Cause) -> None:
    match message.WhichOneof("kind"):
        case "open":
            opening_of(message.open, "local")
        case "submit":
            command.submit(message.submit, cause)
        case "modify":
            command.modify(message.modify, cause)
        case "cancel":
            command.cancel(message.cancel, cause)
        case "cancel_group":
            group.cancel_group(message.cancel_group, cause)
        case "submit_group":
            submit_group(message.submit_group, cause)
        case arm:
            assert arm is not None, "no arm"


DIRECT = [
    case
    for case in ALL_CASES
    if case.field.partition(".")[0] in ("open", "submit", "submit_group", "modify", "cancel", "order")
    or isinstance(case.message, WatchRequest)
]


@pytest.mark.parametrize("case", DIRECT, ids=[case.name for case in DIRECT])
def test_a_message_with_one_bad_value_is_refused_by_field_value_and_bound(case: Case) -> None:
    assert case.complaint(directly(case.message)) is None


def test_an_owner_beside_an_order_id_is_refused() -> None:
    refusal = directly(Command(cancel=Cancel(order=OrderKey(order_id="J-1", client_id="A"))))
    assert refusal is not None
    assert (refusal.reason, refusal.field) == ("UNSUPPORTED", "cancel.order.client_id")


def test_a_client_order_id_of_nobody_is_refused() -> None:
    refusal = directly(GetOrderRequest(order=OrderKey(client_order_id="a-1")))
    assert refusal is not None
    assert (refusal.reason, refusal.field) == ("REQUIRED", "order.client_id")


@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: type(sound).__name__)
def test_the_messages_that_are_spoiled_are_sound(sound: Message) -> None:
    if isinstance(sound, Command | SubmitOrderRequest | ModifyOrderRequest | CancelOrderRequest | GetOrderRequest):
        assert directly(sound) is None


# Over sockets


async def test_over_sockets_every_bad_unary_request_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with sim_stack(tmp_path) as stack:
        await _with_an_order(stack)
        before = await _everything(stack)
        complaints = [
            case.complaint(await _refusal_of_call(stack, case.message))
            for case in ALL_CASES
            if not isinstance(case.message, Command)
        ]
        assert [complaint for complaint in complaints if complaint] == []
        assert await _everything(stack) == before


async def test_over_sockets_every_bad_command_is_refused_and_changes_nothing_and_the_stream_stays_up(
    tmp_path: Path,
) -> None:
    async with sim_stack(tmp_path) as stack, stack.desk.client("A") as a:
        await a.opened()
        await _with_an_order(stack)
        before = await _everything(stack)
        complaints = [
            case.complaint(await _refusal_on_stream(a, deepcopy(case.message), f"case-{number}"))
            for number, case in enumerate(ALL_CASES)
            if isinstance(case.message, Command) and not case.message.HasField("open")
        ]
        assert [complaint for complaint in complaints if complaint] == []
        assert await _everything(stack) == before
        a.submit("a-3", buy("1", "X-USD", limit="100"))
        await a.sees("order_acked", "a-3")


async def test_over_sockets_every_bad_open_is_refused_and_may_come_again(tmp_path: Path) -> None:
    async with sim_stack(tmp_path) as stack:
        opens = [
            case
            for case in ALL_CASES
            if isinstance(case.message, Command) and case.message.WhichOneof("kind") == "open"
        ]
        before = await _everything(stack)
        async with stack.desk.attempt(Open()) as a:
            await a.sees("command_refused")
            complaints = [
                case.complaint(await _refusal_on_stream(a, deepcopy(case.message), f"case-{number}"))
                for number, case in enumerate(opens)
            ]
            assert [complaint for complaint in complaints if complaint] == []
            assert await _everything(stack) == before
            a.send(Command(open=Open(client_id="A")))
            await a.sees("snapshot_complete")


async def test_over_sockets_calls_that_are_not_served_say_so_whatever_is_in_them(tmp_path: Path) -> None:
    async with sim_stack(tmp_path) as stack:
        await _with_an_order(stack)
        before = await _everything(stack)
        for method in METHODS:
            if method.name in NOT_SERVED:
                for request in _requests_with_one_field(method.input_type):
                    code = (await refused(_call(stack, method, request))).code
                    assert code is grpc.StatusCode.UNIMPLEMENTED, f"{method.full_name}: {request}"
        assert await _everything(stack) == before


def _requests_with_one_field(kind: Descriptor) -> Iterator[Message]:
    yield GetMessageClass(kind)()
    for field in kind.fields:
        request = GetMessageClass(kind)()
        _put(request, field, _sample(field))
        yield request


def _call(stack: SimStack, method: MethodDescriptor, request: Message) -> Awaitable[Any]:
    """As the generated stubs have it."""
    assert method.containing_service is not None
    stub: Any = {
        "TradingService": stack.desk.trading,
        "MarketDataService": stack.desk.market,
        "AdminService": stack.desk.admin,
    }[method.containing_service.name]
    call = getattr(stub, method.name)(request)
    return anext(aiter(call)) if method.server_streaming else call


async def _with_an_order(stack: SimStack) -> None:
    terms = Submit(client_order_id="a-1", terms=_TERMS)
    request = SubmitOrderRequest(client_id="A", submit=terms, wait_for=trading_service_pb2.WAIT_FOR_ACKED)
    await stack.desk.trading.SubmitOrder(request)


async def _everything(stack: SimStack) -> tuple[object, ...]:
    """What a caller can know of the state."""
    trading = stack.desk.trading
    orders = await trading.ListOrders(ListOrdersRequest())
    positions = await trading.ListPositions(ListPositionsRequest(include_flat=True))
    return (await stack.desk.status()).head_seq, orders, positions, len(stack.sim.requests)


async def _refusal_of_call(stack: SimStack, message: Message) -> Refused | None:
    (method,) = (method for method in METHODS if method.input_type.full_name == message.DESCRIPTOR.full_name)
    return await refused(_call(stack, method, message))


async def _refusal_on_stream(a: Client, message: Any, command_id: str) -> Refused:
    message.command_id = message.command_id or command_id
    a.send(message)
    event = await a.sees("command_refused")
    told = event.command_refused
    assert event.command_id == message.command_id[:64], event
    return Refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        reason_name(told.reason),
        told.text,
        field=told.field,
    )
