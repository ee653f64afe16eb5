"""What is malformed in a submit or a cancel is refused with the reason and the field; what is well formed arrives."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from ems_service.convert import command
from ems_service.core.inputs import Cancel, Cause, OrderKey, Submit
from ems_service.core.terms import Terms, Trail
from ems_service.core.values import OrdType, Side, TimeInForce
from pitline.ems.v1 import command_pb2
from pitline.types.v1 import order_pb2
from pitline.types.v1.order_pb2 import OrderTerms
from pitline_rpc.status import Refused

CAUSE = Cause("local", "alice", "c-1")
MEGABYTE = "A" * 1024 * 1024
CYRILLIC_A = "\N{CYRILLIC SMALL LETTER A}"
ARABIC_ONE = "\N{ARABIC-INDIC DIGIT ONE}"
FULLWIDTH_ONE = "\N{FULLWIDTH DIGIT ONE}"


def _well_formed() -> OrderTerms:
    return OrderTerms(
        account="paper.main",
        symbol="X-USD",
        side=order_pb2.SIDE_SELL,
        order_qty="1.50",
        ord_type=order_pb2.ORD_TYPE_LIMIT,
        limit_px="100.0",
        time_in_force=order_pb2.TIME_IN_FORCE_GTC,
        tags={"desk": "7"},
    )


def test_a_well_formed_submit_arrives() -> None:
    message = command_pb2.Submit(client_order_id="A-1", terms=_well_formed())
    expected = Terms(
        "paper.main",
        "X-USD",
        Side.SELL,
        Decimal("1.5"),
        OrdType.LIMIT,
        Decimal(100),
        TimeInForce.GTC,
        {"desk": "7"},
    )
    assert command.submit(message, CAUSE) == Submit(CAUSE, "A-1", expected)


def test_what_is_left_out_is_taken_as_the_contract_says() -> None:
    asked = _well_formed()
    asked.ord_type, asked.limit_px = order_pb2.ORD_TYPE_MARKET, ""
    asked.ClearField("time_in_force")
    asked.ClearField("tags")
    asked.execution, asked.route = order_pb2.EXECUTION_UNSPECIFIED, order_pb2.ROUTE_UNSPECIFIED
    taken = command.terms(asked, "terms")
    assert (taken.ord_type, taken.limit_px, taken.time_in_force, taken.tags) == (
        OrdType.MARKET,
        None,
        TimeInForce.DAY,
        {},
    )


def test_with_route_best_no_account_is_named() -> None:
    asked = _well_formed()
    asked.account, asked.route = "", order_pb2.ROUTE_BEST
    taken = command.terms(asked, "terms")
    assert (taken.account, taken.routes_best) == ("", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_in_force", order_pb2.TIME_IN_FORCE_FOK),
        ("exec_inst", [order_pb2.EXEC_INST_POST_ONLY]),
        ("execution", order_pb2.EXECUTION_DARK),
        ("ord_type", order_pb2.ORD_TYPE_STOP_LIMIT),
    ],
)
def test_with_route_best_what_venues_cannot_do_together_is_refused(field: str, value: Any) -> None:
    asked = _well_formed()
    asked.account, asked.route, asked.limit_px = "", order_pb2.ROUTE_BEST, "100"
    if field == "exec_inst":
        asked.exec_inst.extend(value)
    else:
        setattr(asked, field, value)
    if field == "execution":
        asked.trigger.price = "99"
    if field == "ord_type":
        asked.stop_px = "99"
    with pytest.raises(Refused) as caught:
        command.terms(asked, "terms")
    assert (caught.value.reason, caught.value.field) == ("UNSUPPORTED", f"terms.{field}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("execution", order_pb2.EXECUTION_LIVE),
        ("account", "a" * 32 + "." + "b" * 64),
        ("symbol", "A" * 32),
        ("symbol", "BRK.B/USD_x-1"),
        ("order_qty", "999999999999999.999999999999999999"),
        ("order_qty", "0.000000000000000001"),
        ("limit_px", "999999999999999.999999999999999999"),
        ("tags", {"A.z:0_-" * 9: "x" * 256}),
        ("tags", {f"tag-{n}": "" for n in range(16)}),
    ],
)
def test_values_at_their_bounds_are_taken(field: str, value: object) -> None:
    command.terms(_with(_well_formed(), field, value), "terms")


# Refusals by the field of OrderTerms.

NOT_A_NUMBER = [
    "NaN", "nan", "Infinity", "-Infinity", "sNaN", "1e3", "1E-2", "+1", " 1", "1 ", "1\n", "01", "1.", ".5", "1,5",
    "0x10", "1_000", "1.5.0", "-0", "-0.00", "--1", ARABIC_ONE, FULLWIDTH_ONE, "1" * 39, "0." + "1" * 19, MEGABYTE,
]  # fmt: skip
NOT_ABOVE_ZERO = ["0", "0.0", "-1", "-0.5", "1000000000000000", "9" * 38]

REFUSED: dict[str, list[tuple[object, str]]] = {
    "account": [
        ("", "REQUIRED"),
        ("main", "MALFORMED"),
        ("paper.", "MALFORMED"),
        (".main", "MALFORMED"),
        ("paper main", "MALFORMED"),
        ("paper.ma in", "MALFORMED"),
        ("paper.main\n", "MALFORMED"),
        ("paper.main\0", "MALFORMED"),
        (f"p{CYRILLIC_A}per.main", "MALFORMED"),
        ("a" * 33 + ".main", "MALFORMED"),
        ("paper." + "b" * 65, "MALFORMED"),
        (MEGABYTE, "TOO_LARGE"),
    ],
    "symbol": [
        ("", "REQUIRED"),
        ("X USD", "MALFORMED"),
        ("X-USD\n", "MALFORMED"),
        (f"X-US{CYRILLIC_A}", "MALFORMED"),
        ("A" * 33, "MALFORMED"),
        (MEGABYTE, "TOO_LARGE"),
    ],
    "side": [(0, "REQUIRED"), (3, "UNKNOWN_VALUE"), (-1, "UNKNOWN_VALUE"), (2**31 - 1, "UNKNOWN_VALUE")],
    "order_qty": [
        ("", "REQUIRED"),
        *((text, "MALFORMED") for text in NOT_A_NUMBER),
        *((text, "OUT_OF_RANGE") for text in NOT_ABOVE_ZERO),
    ],
    "ord_type": [
        (0, "REQUIRED"),
        (99, "UNKNOWN_VALUE"),
        (-1, "UNKNOWN_VALUE"),
    ],
    "limit_px": [
        ("", "REQUIRED"),
        *((text, "MALFORMED") for text in NOT_A_NUMBER),
        *((text, "OUT_OF_RANGE") for text in NOT_ABOVE_ZERO),
    ],
    "time_in_force": [
        (99, "UNKNOWN_VALUE"),
        (-1, "UNKNOWN_VALUE"),
    ],
    "execution": [
        (99, "UNKNOWN_VALUE"),
        (-1, "UNKNOWN_VALUE"),
    ],
    "stop_px": [("99", "UNSUPPORTED"), ("0", "UNSUPPORTED"), ("NaN", "UNSUPPORTED"), (MEGABYTE, "UNSUPPORTED")],
    "trail": [(order_pb2.Trail(), "UNSUPPORTED"), (order_pb2.Trail(amount="1"), "UNSUPPORTED")],
    "expire_time": [({}, "UNSUPPORTED"), ({"seconds": 1_700_000_000}, "UNSUPPORTED")],
    "exec_inst": [
        ([order_pb2.EXEC_INST_UNSPECIFIED], "REQUIRED"),
        ([order_pb2.EXEC_INST_POST_ONLY] * 2, "MALFORMED"),
        ([99], "UNKNOWN_VALUE"),
    ],
    "trigger": [(order_pb2.Trigger(), "UNSUPPORTED"), (order_pb2.Trigger(price="1"), "UNSUPPORTED")],
    "max_slippage": [("1", "UNSUPPORTED"), ("0", "UNSUPPORTED")],
    "route": [(order_pb2.ROUTE_BEST, "UNSUPPORTED"), (99, "UNKNOWN_VALUE"), (-1, "UNKNOWN_VALUE")],
    "tags": [
        ({f"tag-{n}": "" for n in range(17)}, "TOO_LARGE"),
        ({"": "7"}, "REQUIRED"),
        ({"the desk": "7"}, "MALFORMED"),
        ({f"d{CYRILLIC_A}sk": "7"}, "MALFORMED"),
        ({"k" * 65: "7"}, "MALFORMED"),
        ({MEGABYTE: "7"}, "TOO_LARGE"),
    ],
}


def test_every_field_of_the_terms_is_tried() -> None:
    # A field that is added to the contract is refused or checked, and says here how.
    assert REFUSED.keys() == {field.name for field in OrderTerms.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        pytest.param(field, value, reason, id=f"{field}-{str(value)[:20]!r}-{reason}")
        for field, rows in REFUSED.items()
        for value, reason in rows
    ],
)
def test_malformed_terms_are_refused_with_the_field_named(field: str, value: object, reason: str) -> None:
    asked = _with(_well_formed(), field, value)
    refused = _refused(lambda: command.submit(command_pb2.Submit(client_order_id="A", terms=asked), CAUSE))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refused.field == f"submit.terms.{field}"
    assert len(refused.text) < 400, "a megabyte is not repeated"


def test_a_tag_that_is_too_long_is_named() -> None:
    asked = _with(_well_formed(), "tags", {"desk": "7", "note": "é" * 129})
    refused = _refused(lambda: command.terms(asked, "submit.terms"))
    assert (refused.reason, refused.field) == ("TOO_LARGE", "submit.terms.tags.note")


@pytest.mark.parametrize("limit_px", ["100", "0", "NaN", MEGABYTE])
def test_a_market_order_with_a_limit_is_refused(limit_px: str) -> None:
    asked = _with(_with(_well_formed(), "ord_type", order_pb2.ORD_TYPE_MARKET), "limit_px", limit_px)
    refused = _refused(lambda: command.terms(asked, "submit.terms"))
    assert (refused.reason, refused.field) == ("UNSUPPORTED", "submit.terms.limit_px")


def _stop(**fields: object) -> OrderTerms:
    asked = _well_formed()
    asked.ord_type, asked.limit_px, asked.stop_px = order_pb2.ORD_TYPE_STOP, "", "99.50"
    for name, value in fields.items():
        setattr(asked, name, value)
    return asked


def _trailing(trail: order_pb2.Trail) -> OrderTerms:
    asked = _stop(ord_type=order_pb2.ORD_TYPE_TRAILING_STOP, stop_px="")
    asked.trail.CopyFrom(trail)
    return asked


def test_a_trailing_stop_arrives_with_its_distance() -> None:
    taken = command.terms(_trailing(order_pb2.Trail(amount="2.50")), "terms")
    assert (taken.trail, taken.stop_px, taken.condition) == (Trail(Decimal("2.5"), None), None, None)
    taken = command.terms(_trailing(order_pb2.Trail(percent="99.9")), "terms")
    assert taken.trail == Trail(None, Decimal("99.9"))


def test_a_stop_arrives_with_its_stop_px_and_a_stop_limit_with_both() -> None:
    taken = command.terms(_stop(), "terms")
    assert (taken.ord_type, taken.limit_px, taken.stop_px, taken.condition) == (
        OrdType.STOP,
        None,
        Decimal("99.5"),
        None,
    )
    taken = command.terms(_stop(ord_type=order_pb2.ORD_TYPE_STOP_LIMIT, limit_px="99"), "terms")
    assert (taken.ord_type, taken.limit_px, taken.stop_px) == (OrdType.STOP_LIMIT, Decimal(99), Decimal("99.5"))


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        (_stop(stop_px=""), "REQUIRED", "stop_px"),
        (_stop(stop_px="0"), "OUT_OF_RANGE", "stop_px"),
        (_stop(limit_px="99"), "UNSUPPORTED", "limit_px"),
        (_stop(ord_type=order_pb2.ORD_TYPE_STOP_LIMIT), "REQUIRED", "limit_px"),
        (_stop(execution=order_pb2.EXECUTION_DARK), "UNSUPPORTED", "execution"),
        (_stop(execution=order_pb2.EXECUTION_ALERT), "UNSUPPORTED", "execution"),
        (_stop(max_slippage="1"), "UNSUPPORTED", "max_slippage"),
        (_trailing(order_pb2.Trail()), "REQUIRED", "trail"),
        (_trailing(order_pb2.Trail(amount="0")), "OUT_OF_RANGE", "trail.amount"),
        (_trailing(order_pb2.Trail(percent="100")), "OUT_OF_RANGE", "trail.percent"),
        (_trailing(order_pb2.Trail(amount="1", mark_px="9")), "UNSUPPORTED", "trail.mark_px"),
    ],
)
def test_a_malformed_stop_is_refused(asked: OrderTerms, reason: str, field: str) -> None:
    refused = _refused(lambda: command.terms(asked, "submit.terms"))
    assert (refused.reason, refused.field) == (reason, f"submit.terms.{field}")


def test_a_modify_may_ask_for_another_stop_px_alone() -> None:
    key = command_pb2.OrderKey(client_order_id="A")
    taken = command.modify(command_pb2.Modify(order=key, stop_px="99.50"), CAUSE)
    assert (taken.stop_px, taken.limit_px, taken.order_qty) == (Decimal("99.5"), None, None)


@pytest.mark.parametrize("side", [order_pb2.SIDE_BUY, order_pb2.SIDE_SELL])
def test_a_size_that_contradicts_its_side_is_refused(side: order_pb2.Side.ValueType) -> None:
    # Quantities of orders are positive, the side says the direction: "sell -1" could mean either.
    asked = _with(_with(_well_formed(), "side", side), "order_qty", "-1")
    refused = _refused(lambda: command.terms(asked, "submit.terms"))
    assert (refused.reason, refused.field) == ("OUT_OF_RANGE", "submit.terms.order_qty")
    assert "-1" in refused.text


def test_a_refusal_names_the_value_and_the_bound() -> None:
    refused = _refused(lambda: command.terms(_with(_well_formed(), "order_qty", "1000000000000000"), "terms"))
    assert refused.text == "terms.order_qty is '1000000000000000', not > 0 and < 1000000000000000"
    refused = _refused(lambda: command.terms(_with(_well_formed(), "ord_type", 99), "terms"))
    assert "MARKET, STOP" in refused.text


# The rest of a submit, and cancels.

NO_ID = [
    ("", "REQUIRED"),
    (" ", "MALFORMED"),
    ("A 1", "MALFORMED"),
    ("A\n", "MALFORMED"),
    ("A/1", "MALFORMED"),
    (f"{CYRILLIC_A}1", "MALFORMED"),
    (ARABIC_ONE, "MALFORMED"),
    ("A" * 65, "MALFORMED"),
    ("A" * 129, "TOO_LARGE"),
    (MEGABYTE, "TOO_LARGE"),
]


@pytest.mark.parametrize(("client_order_id", "reason"), NO_ID)
def test_a_malformed_client_order_id_is_refused(client_order_id: str, reason: str) -> None:
    message = command_pb2.Submit(client_order_id=client_order_id, terms=_well_formed())
    refused = _refused(lambda: command.submit(message, CAUSE))
    assert (refused.reason, refused.field) == (reason, "submit.client_order_id")


@pytest.mark.parametrize("client_order_id", ["A", "a.B_c:D-9", "A" * 64])
def test_a_client_order_id_is_taken_as_it_is(client_order_id: str) -> None:
    message = command_pb2.Submit(client_order_id=client_order_id, terms=_well_formed())
    assert command.submit(message, CAUSE).client_order_id == client_order_id


def test_a_submit_without_terms_is_refused() -> None:
    refused = _refused(lambda: command.submit(command_pb2.Submit(client_order_id="A"), CAUSE))
    assert (refused.reason, refused.field) == ("REQUIRED", "submit.terms")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (command_pb2.OrderKey(order_id="J-1"), OrderKey(order_id="J-1")),
        (command_pb2.OrderKey(client_order_id="A"), OrderKey(client_order_id="A", client_id="alice")),
        (
            command_pb2.OrderKey(client_order_id="A", client_id="bob"),
            OrderKey(client_order_id="A", client_id="bob"),
        ),
    ],
)
def test_a_cancel_names_its_order(key: command_pb2.OrderKey, expected: OrderKey) -> None:
    assert command.cancel(command_pb2.Cancel(order=key), CAUSE) == Cancel(CAUSE, expected)


@pytest.mark.parametrize(
    ("key", "reason", "field"),
    [
        (command_pb2.OrderKey(), "REQUIRED", "cancel.order"),
        (command_pb2.OrderKey(client_id="bob"), "REQUIRED", "cancel.order"),
        *((command_pb2.OrderKey(order_id=value), reason, "cancel.order.order_id") for value, reason in NO_ID),
        *(
            (command_pb2.OrderKey(client_order_id=value), reason, "cancel.order.client_order_id")
            for value, reason in NO_ID
        ),
        *(
            (command_pb2.OrderKey(client_order_id="A", client_id=value), reason, "cancel.order.client_id")
            for value, reason in NO_ID
            if value
        ),
    ],
)
def test_a_malformed_cancel_is_refused(key: command_pb2.OrderKey, reason: str, field: str) -> None:
    refused = _refused(lambda: command.cancel(command_pb2.Cancel(order=key), CAUSE))
    assert (refused.code, refused.reason, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, reason, field)


def test_a_cancel_of_nothing_is_refused() -> None:
    refused = _refused(lambda: command.cancel(command_pb2.Cancel(), CAUSE))
    assert (refused.reason, refused.field) == ("REQUIRED", "cancel.order")


def test_an_owner_is_required_where_the_caller_names_none() -> None:
    key = command_pb2.OrderKey(client_order_id="A")
    refused = _refused(lambda: command.order_key(key, "order", client_id=""))
    assert (refused.reason, refused.field) == ("REQUIRED", "order.client_id")


def test_an_owner_beside_our_own_id_is_refused_not_ignored() -> None:
    key = command_pb2.OrderKey(order_id="J-1", client_id="bob")
    refused = _refused(lambda: command.cancel(command_pb2.Cancel(order=key), CAUSE))
    assert (refused.reason, refused.field) == ("UNSUPPORTED", "cancel.order.client_id")


def _with(asked: OrderTerms, name: str, value: object) -> OrderTerms:
    """The same with one field set, over the wire: numbers that a Python enum would not take are taken there."""
    asked.ClearField(name)  # pyright: ignore[reportArgumentType]
    field = OrderTerms.DESCRIPTOR.fields_by_name[name]
    if field.type == FieldDescriptor.TYPE_ENUM and not field.is_repeated:
        setattr(asked, name, value)
        return OrderTerms.FromString(asked.SerializeToString())
    asked.MergeFrom(OrderTerms(**{name: value}))  # pyright: ignore[reportArgumentType]
    return OrderTerms.FromString(asked.SerializeToString())


def _refused(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value
