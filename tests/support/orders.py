"""Orders as tests write them: `buy("1", "X-USD", limit="100")`."""

from pitline.types.v1.order_pb2 import (
    EXECUTION_LIVE,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_GTC,
    OrderTerms,
    OrdType,
    Side,
    TimeInForce,
)


def buy(
    qty: str,
    symbol: str,
    *,
    limit: str = "",
    account: str = "",
    time_in_force: TimeInForce.ValueType = TIME_IN_FORCE_GTC,
) -> OrderTerms:
    """Buy at `limit` or better, at the market without one. A client of a `Desk` fills in the desk's account."""
    return _terms(SIDE_BUY, qty, symbol, limit, account, time_in_force)


def sell(
    qty: str,
    symbol: str,
    *,
    limit: str = "",
    account: str = "",
    time_in_force: TimeInForce.ValueType = TIME_IN_FORCE_GTC,
) -> OrderTerms:
    """Sell `qty` (positive, as every order's) at `limit` or better, at the market without one."""
    return _terms(SIDE_SELL, qty, symbol, limit, account, time_in_force)


def accepted(terms: OrderTerms) -> OrderTerms:
    """Terms as the EMS tells them: what was left unspecified is named."""
    told = OrderTerms()
    told.CopyFrom(terms)
    told.execution = EXECUTION_LIVE
    return told


def _terms(
    side: Side.ValueType, qty: str, symbol: str, limit: str, account: str, time_in_force: TimeInForce.ValueType
) -> OrderTerms:
    ord_type: OrdType.ValueType = ORD_TYPE_LIMIT if limit else ORD_TYPE_MARKET
    return OrderTerms(
        account=account,
        symbol=symbol,
        side=side,
        order_qty=qty,
        ord_type=ord_type,
        limit_px=limit,
        time_in_force=time_in_force,
    )
