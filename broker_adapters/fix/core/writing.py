"""Messages to a venue, written from orders and requests.

Used by `requests.py` and the engine; the session adds header and trailer. Sources: FIX 4.2 and FIX 4.4, volumes on
order handling and on market data.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from broker_adapters.fix.core.message import FixMessage, Group, MsgType, Tag
from broker_adapters.fix.core.orders import Order, Request
from broker_adapters.fix.core.profile import Account, Listings, Profile
from broker_adapters.fix.core.values import ExecInst, OrdType, Side, TimeInForce

_SIDES = {Side.BUY: "1", Side.SELL: "2"}
_ORD_TYPES = {OrdType.MARKET: "1", OrdType.LIMIT: "2", OrdType.STOP: "3", OrdType.STOP_LIMIT: "4"}
_TIMES_IN_FORCE = {
    TimeInForce.DAY: "0",
    TimeInForce.GTC: "1",
    TimeInForce.IOC: "3",
    TimeInForce.FOK: "4",
    TimeInForce.GTD: "6",
}
_EXEC_INSTS = {ExecInst.POST_ONLY: "6", ExecInst.REDUCE_ONLY: "E"}

_AUTOMATED = "1"
_SNAPSHOT_AND_UPDATES, _STOP = "1", "2"
_INCREMENTAL = "1"
_BID, _OFFER, _TRADE = "0", "1", "2"
_ALL_ORDERS = "7"
_POSITIONS = "0"
_CUSTOMER_ACCOUNT = "1"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_text(time_ns: int) -> str:
    """UTCTimestamp with milliseconds."""
    at = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return f"{at:%Y%m%d-%H:%M:%S}.{at.microsecond // 1000:03d}"


def number_text(value: Decimal) -> str:
    """Price or Qty: digits and a point."""
    return f"{value:f}"


def new_order_single(order: Order, profile: Profile, listings: Listings, now_ns: int) -> FixMessage:
    """NewOrderSingle (D)."""
    fields = [(Tag.CL_ORD_ID, order.order_ref), (Tag.HANDL_INST, _AUTOMATED)]
    fields += _instrument_and_side(order, listings, now_ns)
    fields += _terms(order, order.order_qty, order.limit_px, order.stop_px)
    fields += [(tag, text) for tag, text in profile.order_fields.items()]
    return FixMessage(MsgType.NEW_ORDER_SINGLE, fields)


def order_cancel_request(order: Order, request: Request, listings: Listings, now_ns: int) -> FixMessage:
    """OrderCancelRequest (F)."""
    fields = [*_names(order, request.request_ref), *_instrument_and_side(order, listings, now_ns)]
    fields.append((Tag.ORDER_QTY, number_text(order.order_qty)))
    return FixMessage(MsgType.ORDER_CANCEL_REQUEST, fields)


def order_cancel_replace_request(
    order: Order, request: Request, profile: Profile, listings: Listings, now_ns: int
) -> FixMessage:
    """OrderCancelReplaceRequest (G): all terms, those that stay too."""
    fields = [*_names(order, request.request_ref), (Tag.HANDL_INST, _AUTOMATED)]
    fields += _instrument_and_side(order, listings, now_ns)
    fields += _terms(
        order,
        request.order_qty or order.order_qty,
        request.limit_px or order.limit_px,
        request.stop_px or order.stop_px,
    )
    fields += [(tag, text) for tag, text in profile.order_fields.items()]
    return FixMessage(MsgType.ORDER_CANCEL_REPLACE_REQUEST, fields)


def order_status_request(order: Order, listings: Listings) -> FixMessage:
    """OrderStatusRequest (H)."""
    fields = [(Tag.CL_ORD_ID, order.cl_ord_id), (Tag.SYMBOL, listings.venue_symbol(order.symbol))]
    fields.append((Tag.SIDE, _SIDES[order.side]))
    if order.broker_order_id:
        fields.append((Tag.ORDER_ID, order.broker_order_id))
    account = listings.accounts[order.account]
    if account.venue_account:
        fields.append((Tag.ACCOUNT, account.venue_account))
    return FixMessage(MsgType.ORDER_STATUS_REQUEST, fields)


def order_mass_status_request(request_id: str) -> FixMessage:
    """OrderMassStatusRequest (AF) about all orders."""
    return FixMessage(
        MsgType.ORDER_MASS_STATUS_REQUEST,
        [(Tag.MASS_STATUS_REQ_ID, request_id), (Tag.MASS_STATUS_REQ_TYPE, _ALL_ORDERS)],
    )


def request_for_positions(account: Account, request_id: str, now_ns: int) -> FixMessage:
    """RequestForPositions (AN) of one account."""
    now = time_text(now_ns)
    return FixMessage(
        MsgType.REQUEST_FOR_POSITIONS,
        [
            (Tag.POS_REQ_ID, request_id),
            (Tag.POS_REQ_TYPE, _POSITIONS),
            (Tag.ACCOUNT, account.venue_account),
            (Tag.ACCOUNT_TYPE, _CUSTOMER_ACCOUNT),
            (Tag.CLEARING_BUSINESS_DATE, now[:8]),
            (Tag.TRANSACT_TIME, now),
        ],
    )


def market_data_request(request_id: str, venue_symbol: str, depth: int, *, start: bool) -> FixMessage:
    """MarketDataRequest (V): bids, offers and trades of one symbol from now on, or no longer. `depth` in levels a side,
    0 is all of them."""
    fields = [
        (Tag.MD_REQ_ID, request_id),
        (Tag.SUBSCRIPTION_REQUEST_TYPE, _SNAPSHOT_AND_UPDATES if start else _STOP),
        (Tag.MARKET_DEPTH, str(depth)),
        (Tag.MD_UPDATE_TYPE, _INCREMENTAL),
    ]
    kinds = Group(Tag.NO_MD_ENTRY_TYPES, tuple([(Tag.MD_ENTRY_TYPE, kind)] for kind in (_BID, _OFFER, _TRADE)))
    symbols = Group(Tag.NO_RELATED_SYM, ([(Tag.SYMBOL, venue_symbol)],))
    return FixMessage(MsgType.MARKET_DATA_REQUEST, fields, (kinds, symbols))


def _names(order: Order, request_ref: str) -> list[tuple[int, str]]:
    names: list[tuple[int, str]] = [(Tag.ORIG_CL_ORD_ID, order.cl_ord_id), (Tag.CL_ORD_ID, request_ref)]
    if order.broker_order_id:
        names.append((Tag.ORDER_ID, order.broker_order_id))
    return names


def _instrument_and_side(order: Order, listings: Listings, now_ns: int) -> list[tuple[int, str]]:
    fields: list[tuple[int, str]] = []
    venue_account = listings.accounts[order.account].venue_account
    if venue_account:
        fields.append((Tag.ACCOUNT, venue_account))
    fields += [
        (Tag.SYMBOL, listings.venue_symbol(order.symbol)),
        (Tag.SIDE, _SIDES[order.side]),
        (Tag.TRANSACT_TIME, time_text(now_ns)),
    ]
    return fields


def _terms(
    order: Order, order_qty: Decimal, limit_px: Decimal | None, stop_px: Decimal | None
) -> list[tuple[int, str]]:
    fields: list[tuple[int, str]] = [
        (Tag.ORDER_QTY, number_text(order_qty)),
        (Tag.ORD_TYPE, _ORD_TYPES[order.ord_type]),
        (Tag.TIME_IN_FORCE, _TIMES_IN_FORCE[order.time_in_force]),
    ]
    if limit_px is not None:
        fields.append((Tag.PRICE, number_text(limit_px)))
    if stop_px is not None:
        fields.append((Tag.STOP_PX, number_text(stop_px)))
    if order.expire_ns is not None:
        fields.append((Tag.EXPIRE_TIME, time_text(order.expire_ns)))
    if order.exec_insts:
        fields.append((Tag.EXEC_INST, " ".join(_EXEC_INSTS[instruction] for instruction in order.exec_insts)))
    return fields
