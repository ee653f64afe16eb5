"""Orders as tests write them: `buy("1", "X-USD", limit="100")`."""

from pitline.types.v1.order_pb2 import (
    EXECUTION_ALERT,
    EXECUTION_DARK,
    EXECUTION_LIVE,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    ROUTE_BEST,
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_GTC,
    Execution,
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


def dark(terms: OrderTerms, trigger: str, *, max_slippage: str = "") -> OrderTerms:
    """The same, held until the trigger."""
    return _held(terms, trigger, EXECUTION_DARK, max_slippage)


def best(terms: OrderTerms) -> OrderTerms:
    """The same, routed by the EMS."""
    routed = OrderTerms()
    routed.CopyFrom(terms)
    routed.route = ROUTE_BEST
    return routed


def stop(terms: OrderTerms, stop_px: str) -> OrderTerms:
    """The same, when the last price reaches `stop_px`."""
    waiting = OrderTerms()
    waiting.CopyFrom(terms)
    waiting.ord_type = ORD_TYPE_STOP_LIMIT if terms.limit_px else ORD_TYPE_STOP
    waiting.stop_px = stop_px
    return waiting


def trailing(terms: OrderTerms, *, amount: str = "", percent: str = "") -> OrderTerms:
    """The same, when the last price is back by so much from the best since."""
    waiting = OrderTerms()
    waiting.CopyFrom(terms)
    waiting.ord_type = ORD_TYPE_TRAILING_STOP
    if amount:
        waiting.trail.amount = amount
    else:
        waiting.trail.percent = percent
    return waiting


def alert(symbol: str, trigger: str) -> OrderTerms:
    """Says when the trigger is reached."""
    return _held(buy("1", symbol), trigger, EXECUTION_ALERT, "")


def _held(terms: OrderTerms, trigger: str, execution: Execution.ValueType, max_slippage: str) -> OrderTerms:
    held = OrderTerms()
    held.CopyFrom(terms)
    held.execution, held.max_slippage = execution, max_slippage
    held.trigger.price = trigger
    if not terms.limit_px:
        held.ord_type = ORD_TYPE_LIMIT
    return held


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
