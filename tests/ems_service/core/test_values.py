"""The core's words have the contract's numbers, and its sums are exact."""

import inspect
from decimal import Decimal, localcontext
from enum import IntEnum

import pytest
from google.protobuf.descriptor import EnumDescriptor

from ems_service.core import values
from ems_service.core.values import (
    BrokerState,
    Direction,
    Environment,
    ExecInst,
    Fate,
    FeedState,
    FillFlag,
    InDoubt,
    Liquidity,
    OrderStatus,
    OrdType,
    Placement,
    Reason,
    Route,
    Side,
    TimeInForce,
    TriggerSource,
    add,
    divide,
    multiply,
    rounded,
    subtract,
)
from pitline.broker.v1 import event_pb2 as broker_event_pb2
from pitline.ems.v1 import event_pb2
from pitline.types.v1 import account_pb2, execution_pb2, market_pb2, order_pb2, reason_pb2

CONTRACT: dict[type[IntEnum], list[tuple[EnumDescriptor, str]]] = {
    Side: [(order_pb2.Side.DESCRIPTOR, "SIDE_")],
    Placement: [(order_pb2.Execution.DESCRIPTOR, "EXECUTION_")],
    Route: [(order_pb2.Route.DESCRIPTOR, "ROUTE_")],
    TriggerSource: [(order_pb2.TriggerSource.DESCRIPTOR, "TRIGGER_SOURCE_")],
    Direction: [(order_pb2.TriggerDirection.DESCRIPTOR, "TRIGGER_DIRECTION_")],
    FeedState: [(market_pb2.FeedState.DESCRIPTOR, "FEED_STATE_")],
    OrdType: [(order_pb2.OrdType.DESCRIPTOR, "ORD_TYPE_")],
    TimeInForce: [(order_pb2.TimeInForce.DESCRIPTOR, "TIME_IN_FORCE_")],
    ExecInst: [(order_pb2.ExecInst.DESCRIPTOR, "EXEC_INST_")],
    OrderStatus: [(order_pb2.OrderStatus.DESCRIPTOR, "ORDER_STATUS_")],
    InDoubt: [(order_pb2.InDoubt.DESCRIPTOR, "IN_DOUBT_")],
    Liquidity: [(execution_pb2.Liquidity.DESCRIPTOR, "LIQUIDITY_")],
    Fate: [(broker_event_pb2.Fate.DESCRIPTOR, "FATE_")],
    FillFlag: [(event_pb2.FillFlag.DESCRIPTOR, "FILL_FLAG_")],
    # What an EMS says of a broker, and what a broker says of its venue: read as one set.
    BrokerState: [
        (event_pb2.BrokerState.DESCRIPTOR, "BROKER_STATE_"),
        (broker_event_pb2.Link.State.DESCRIPTOR, "STATE_"),
    ],
    Environment: [(account_pb2.Environment.DESCRIPTOR, "ENVIRONMENT_")],
    Reason: [(reason_pb2.Reason.DESCRIPTOR, "REASON_")],
}
NONE_IS_UNSPECIFIED = {InDoubt.NONE}

DIGITS_38 = Decimal("12345678901234567890.123456789012345678")
"""As long as a number of the wire may be; Python's default context would round it at 28 digits."""


def test_every_enum_of_the_core_is_compared_with_the_contract() -> None:
    enums = {kind for _, kind in inspect.getmembers(values, inspect.isclass) if issubclass(kind, IntEnum)}
    assert enums - {IntEnum} == CONTRACT.keys()


@pytest.mark.parametrize(
    ("member", "contract", "prefix"),
    [
        pytest.param(member, contract, prefix, id=f"{prefix}{member.name}")
        for kind, sources in CONTRACT.items()
        for contract, prefix in sources
        for member in kind
    ],
)
def test_a_word_of_the_core_has_the_number_of_the_contract(
    member: IntEnum, contract: EnumDescriptor, prefix: str
) -> None:
    name = "UNSPECIFIED" if member in NONE_IS_UNSPECIFIED else member.name
    assert contract.values_by_name[f"{prefix}{name}"].number == member


@pytest.mark.parametrize("kind", [Side, Liquidity, Fate, BrokerState, Environment])
def test_what_a_broker_may_say_is_known_whole(kind: type[IntEnum]) -> None:
    contract, prefix = CONTRACT[kind][0]
    said = {name.removeprefix(prefix) for name in contract.values_by_name}
    assert said - {"UNSPECIFIED"} == {member.name for member in kind} - {"UNSPECIFIED"}


def test_sums_and_differences_of_38_digits_are_exact() -> None:
    assert str(add(DIGITS_38, Decimal("0.000000000000000001"))) == "12345678901234567890.123456789012345679"
    assert str(subtract(DIGITS_38, Decimal("0.000000000000000001"))) == "12345678901234567890.123456789012345677"


def test_a_product_of_38_by_38_digits_is_exact() -> None:
    nines = Decimal("9" * 38)
    assert int(multiply(nines, nines)) == (10**38 - 1) ** 2


def test_a_quotient_is_rounded_half_even_at_18_decimals() -> None:
    assert str(divide(Decimal(1), Decimal(3))) == "0.333333333333333333"
    assert str(divide(Decimal(2), Decimal(3))) == "0.666666666666666667"
    assert divide(Decimal("0.000000000000000001"), Decimal(2)) == 0
    assert divide(Decimal("0.000000000000000003"), Decimal(2)) == Decimal("0.000000000000000002")


def test_a_long_number_is_rounded_at_its_18th_decimal_only() -> None:
    assert (
        str(rounded(Decimal("12345678901234567890.1234567890123456785"))) == "12345678901234567890.123456789012345678"
    )
    assert (
        str(rounded(Decimal("12345678901234567890.1234567890123456775"))) == "12345678901234567890.123456789012345678"
    )


def test_the_context_of_the_thread_changes_no_sum() -> None:
    with localcontext() as context:
        context.prec = 5
        assert str(add(DIGITS_38, Decimal(1))) == "12345678901234567891.123456789012345678"
        assert str(divide(Decimal(10), Decimal(3))) == "3.333333333333333333"
