"""What a broker reads of an EMS's requests depends on what it has declared, and on nothing else."""

from decimal import Decimal
from typing import Any

import pytest

from pitline.broker.v1.capabilities_pb2 import Capabilities
from pitline.broker.v1.request_pb2 import BrokerRequest, CancelOrder, ModifyOrder, NewOrder
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    ORD_TYPE_LIMIT,
    ORD_TYPE_MARKET,
    ORD_TYPE_STOP_LIMIT,
    ORD_TYPE_TRAILING_STOP,
    SIDE_BUY,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_GTC,
)
from pitline.types.v1.reason_pb2 import REASON_MALFORMED, REASON_UNSUPPORTED
from pitline_broker.asked import Asked, Modify, Submit, Unreadable, UnreadableModify
from pitline_broker.requests import RequestReader
from pitline_rpc.status import Refused

STOPS = Capabilities(modify=True, ord_types=[ORD_TYPE_LIMIT, ORD_TYPE_STOP_LIMIT], times_in_force=[TIME_IN_FORCE_DAY])
LIMITS = Capabilities(ord_types=[ORD_TYPE_LIMIT], times_in_force=[TIME_IN_FORCE_DAY])


def read(declared: Capabilities, **changed: Any) -> Asked:
    """A limit order for the day, or with other fields."""
    sound: dict[str, Any] = {
        "order_ref": "R1", "request_ref": "R1", "account": "main", "symbol": "X-USD", "side": SIDE_BUY,
        "order_qty": "10", "ord_type": ORD_TYPE_LIMIT, "limit_px": "99.5", "time_in_force": TIME_IN_FORCE_DAY,
    }  # fmt: skip
    return RequestReader(declared).read(BrokerRequest(order=NewOrder(**(sound | changed))), "requests[0]")


def test_what_is_declared_is_read() -> None:
    asked = read(STOPS, ord_type=ORD_TYPE_STOP_LIMIT, stop_px="98")
    assert isinstance(asked, Submit)
    assert (asked.order_qty, asked.limit_px, asked.stop_px) == (Decimal(10), Decimal("99.5"), Decimal(98))
    modify = BrokerRequest(modify=ModifyOrder(order_ref="R1", request_ref="R1M1", stop_px="97"))
    assert RequestReader(STOPS).read(modify, "") == Modify("R1", "R1M1", None, None, Decimal(97))


@pytest.mark.parametrize(
    "changed",
    [
        {"ord_type": ORD_TYPE_STOP_LIMIT, "stop_px": "98"},
        {"ord_type": ORD_TYPE_MARKET, "limit_px": ""},
        {"ord_type": ORD_TYPE_TRAILING_STOP, "limit_px": ""},
        {"stop_px": "98"},
        {"time_in_force": TIME_IN_FORCE_GTC},
        {"exec_inst": [EXEC_INST_POST_ONLY]},
    ],
)
def test_what_is_not_declared_is_to_be_rejected(changed: dict[str, Any]) -> None:
    asked = read(LIMITS, **changed)
    assert isinstance(asked, Unreadable)
    assert asked.reason == REASON_UNSUPPORTED


def test_a_modify_of_who_does_not_modify_is_to_be_rejected() -> None:
    modify = BrokerRequest(modify=ModifyOrder(order_ref="R1", request_ref="R1M1", order_qty="5"))
    asked = RequestReader(LIMITS).read(modify, "")
    assert isinstance(asked, UnreadableModify)
    assert (asked.request_ref, asked.reason) == ("R1M1", REASON_UNSUPPORTED)
    unreadable = BrokerRequest(modify=ModifyOrder(order_ref="R1", request_ref="R1M1", order_qty="5.x"))
    asked = RequestReader(STOPS).read(unreadable, "")
    assert isinstance(asked, UnreadableModify)
    assert asked.reason == REASON_MALFORMED


@pytest.mark.parametrize(
    "request_",
    [
        BrokerRequest(cancel=CancelOrder(order_ref="R1", request_ref="R1")),
        BrokerRequest(modify=ModifyOrder(order_ref="R1", request_ref="R1", order_qty="5")),
    ],
)
def test_a_change_under_the_orders_own_ref_ends_the_stream(request_: BrokerRequest) -> None:
    with pytest.raises(Refused, match="R1 is the order_ref"):
        RequestReader(STOPS).read(request_, "requests[0]")
