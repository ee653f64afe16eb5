"""What no order may say, field by field: rejected in the dialog, and the stream stays up.

An EMS checks its clients; this is for the day on which it does not. A protobuf parser lets numbers without a name,
texts that are no number and ids of a megabyte through, so a broker looks for itself.
"""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from pitline.broker.v1.request_pb2 import CancelOrder, Query, Report
from pitline.types.v1.order_pb2 import ORD_TYPE_MARKET, TIME_IN_FORCE_GTD
from pitline_conform.case import Theme
from pitline_conform.dialog import Asked, Dialog
from pitline_conform.line import End
from pitline_conform.reading import is_rejected
from pitline_conform.record import kind_of
from pitline_conform.trial import Trial
from pitline_conform.verdicts import must, needs

THEME = Theme("B", "Bad input")

NO_NUMBERS = ("", "x", "NaN", "1e3", "+1", " 1", "0x1", "1,5")
NOT_ABOVE_ZERO = ("0", "-1")
TOO_LONG = "X" * 65
NO_REFS = ("lower", "A" * 21, "A-1")


@THEME.case(1)
async def order_qty_that_is_no_quantity_is_rejected(t: Trial) -> None:
    """An order_qty that is no number, or not above 0, is rejected."""
    await _each_is_rejected(t, "order_qty", *NO_NUMBERS, *NOT_ABOVE_ZERO)


@THEME.case(2)
async def limit_px_that_is_no_price_is_rejected(t: Trial) -> None:
    """A limit_px of a LIMIT order that is no number, or not above 0, is rejected."""
    await _each_is_rejected(t, "limit_px", *NO_NUMBERS, *NOT_ABOVE_ZERO)


@THEME.case(3)
async def unknown_side_is_rejected(t: Trial) -> None:
    """A side that is not said, or not known, is rejected."""
    await _each_is_rejected(t, "side", 0, 99)


@THEME.case(4)
async def unknown_ord_type_is_rejected(t: Trial) -> None:
    """An ord_type that is not said, or not known, is rejected."""
    await _each_is_rejected(t, "ord_type", 0, 99)


@THEME.case(5)
async def unknown_time_in_force_is_rejected(t: Trial) -> None:
    """A time_in_force that is not said, or not known, is rejected."""
    await _each_is_rejected(t, "time_in_force", 0, 99)


@THEME.case(6)
async def unknown_exec_inst_is_rejected(t: Trial) -> None:
    """An exec_inst that is not said, or not known, is rejected."""
    await _each_is_rejected(t, "exec_inst", [0], [99])


@THEME.case(7)
async def empty_or_endless_account_is_rejected(t: Trial) -> None:
    """An account that is empty, or longer than any name, is rejected."""
    await _each_is_rejected(t, "account", "", TOO_LONG, "X" * 1_000_000)


@THEME.case(8)
async def empty_or_endless_symbol_is_rejected(t: Trial) -> None:
    """A symbol that is empty, or longer than any name, is rejected."""
    await _each_is_rejected(t, "symbol", "", TOO_LONG, "X" * 1_000_000)


@THEME.case(9)
async def stop_px_of_a_limit_order_is_rejected(t: Trial) -> None:
    """A LIMIT order with a stop_px is rejected: it would be another order than was meant."""
    await _each_is_rejected(t, "stop_px", "1")


@THEME.case(10)
async def limit_px_of_a_market_order_is_rejected(t: Trial) -> None:
    """A MARKET order with a limit_px is rejected."""
    needs(ORD_TYPE_MARKET in t.ground.capabilities.ord_types, "MARKET is not declared")
    await _each_is_rejected(t, "ord_type", ORD_TYPE_MARKET)


@THEME.case(11)
async def good_till_no_date_is_rejected(t: Trial) -> None:
    """A GTD order without an expire_time is rejected."""
    needs(TIME_IN_FORCE_GTD in t.ground.capabilities.times_in_force, "GTD is not declared")
    await _each_is_rejected(t, "time_in_force", TIME_IN_FORCE_GTD)


@THEME.case(12)
async def expire_time_without_good_till_date_is_rejected(t: Trial) -> None:
    """An expire_time with another time in force than GTD is rejected."""
    ems = await t.attaches()
    order = t.order()
    order.expire_time.CopyFrom(Timestamp(seconds=4_000_000_000))
    await is_rejected(ems, order, "an expire_time without GTD")


@THEME.case(13)
async def malformed_order_ref_is_refused(t: Trial) -> None:
    """An order_ref that is none is never executed: the stream ends INVALID_ARGUMENT, or the order is rejected."""
    for ref in NO_REFS:
        ems = await t.attaches()
        await ems.says(t.order(order_ref=ref, request_ref=ref))
        await _is_refused(ems, ref, "rejected")


@THEME.case(14)
async def request_ref_of_another_order_is_refused(t: Trial) -> None:
    """A new order whose request_ref is not its order_ref is never executed."""
    ems = await t.attaches()
    order = t.order(request_ref=t.new_ref())
    await ems.says(order)
    await _is_refused(ems, order.order_ref, "rejected")


@THEME.case(15)
async def cancel_with_a_malformed_request_ref_is_refused(t: Trial) -> None:
    """A cancel whose request_ref is none cancels nothing."""
    for request_ref in ("", *NO_REFS):
        ems = await t.attaches()
        order = await t.rests(ems)
        await ems.says(CancelOrder(order_ref=order.order_ref, request_ref=request_ref))
        await _is_refused(ems, order.order_ref, "cancel_rejected")


@THEME.case(16)
async def report_of_nothing_is_refused(t: Trial) -> None:
    """A report of no kind, or of one not known, ends the stream INVALID_ARGUMENT."""
    for what in (0, 99):
        await _ends(t, Report(what=what))  # pyright: ignore[reportArgumentType] - as a foreign client may send it


@THEME.case(17)
async def query_of_a_malformed_ref_is_refused(t: Trial) -> None:
    """A query whose order_ref is none ends the stream INVALID_ARGUMENT."""
    t.declares("query_by_ref")
    for ref in ("", *NO_REFS):
        await _ends(t, Query(order_ref=ref))


async def _each_is_rejected(t: Trial, field: str, *values: Any) -> None:
    """Orders that are sound but for one field; and one that is sound is taken after them all."""
    ems = await t.attaches()
    for value in values:
        shown = repr(value) if len(str(value)) <= len(TOO_LONG) else f"a text of {len(str(value))}"
        await is_rejected(ems, t.order(**{field: value}), f"{field} {shown}")
    sound = t.order()
    await ems.says(sound)
    await ems.hears(sound.order_ref, "ack", "fill")


async def _is_refused(ems: Dialog, ref: str, kind: str) -> None:
    answer = await ems.first_of(ref)
    if isinstance(answer, End):
        must(answer.code is StatusCode.INVALID_ARGUMENT, f"the stream ended {answer}, not INVALID_ARGUMENT")
    else:
        must(kind_of(answer) == kind, f"it was answered by {kind_of(answer)}, not {kind}")


async def _ends(t: Trial, asked: Asked) -> None:
    ems = await t.attaches()
    await ems.says(asked)
    await ems.ends(StatusCode.INVALID_ARGUMENT)
