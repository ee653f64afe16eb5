"""The scripted broker minding the whole contract by itself: it passes the conformance suite, and has faults planted.

It displays 10 at 99 and 101 of X-USD and trades against that, forever. Everything that a test may say to `Sim` it may
say here too.
"""

from decimal import Decimal

import grpc

from pitline.broker.v1.event_pb2 import FATE_CANCELED
from pitline.broker.v1.request_pb2 import BrokerRequest, Hello, ModifyOrder, NewOrder
from pitline.types.v1.order_pb2 import (
    EXEC_INST_POST_ONLY,
    EXEC_INST_REDUCE_ONLY,
    ORD_TYPE_MARKET,
    SIDE_BUY,
    TIME_IN_FORCE_FOK,
    TIME_IN_FORCE_IOC,
)
from pitline.types.v1.reason_pb2 import (
    REASON_MALFORMED,
    REASON_NOT_FILLED_AT_ONCE,
    REASON_UNSUPPORTED,
    REASON_WOULD_NOT_REDUCE,
    REASON_WOULD_TAKE,
    Reason,
)
from support.sim import Sim, declaring_everything
from support.sim_order import SimOrder
from support.sim_rules import is_positive, order_fault, request_fault
from support.sim_streams import TradesStream

BID, ASK, DISPLAYED = Decimal(99), Decimal(101), Decimal(10)
SYMBOL = "X-USD"


class DutifulSim(Sim):
    """A broker that an EMS may believe."""

    def __init__(self) -> None:
        capabilities = declaring_everything()
        capabilities.cancel_by_ref = True
        super().__init__(capabilities)
        self.market.quote(SYMBOL, bid=str(BID), ask=str(ASK), bid_qty=str(DISPLAYED), ask_qty=str(DISPLAYED))
        self._modified_refs: set[str] = set()

    def on_request(self, stream: TradesStream, request: BrokerRequest) -> None:
        """As `Sim`, and what has no sound form ends the stream."""
        fault = request_fault(request, attached=bool(stream.ems_id), announced=stream.more_refs)
        if fault is None:
            super().on_request(stream, request)
        else:
            stream.end(*fault)

    def _on_hello(self, stream: TradesStream, hello: Hello) -> None:
        if any(other is not stream and other.ems_id not in ("", hello.ems_id) for other in self.trades_streams):
            stream.end(grpc.StatusCode.FAILED_PRECONDITION, "another EMS is attached")
            return
        super()._on_hello(stream, hello)

    def _on_order(self, asked: NewOrder) -> None:
        if asked.order_ref in self.orders:
            return
        reason = order_fault(
            asked, self.capabilities, self.market.instruments, [each.account for each in self.accounts]
        )
        reason = reason or self._objection(asked)
        if reason:
            self._reject_new(asked.order_ref, reason)
            return
        super()._on_order(asked)
        self._trade(self.orders[asked.order_ref])

    def _reject_new(self, order_ref: str, reason: Reason.ValueType) -> None:
        order = SimOrder(NewOrder(order_ref=order_ref, order_qty="0"), broker_order_id="")
        self.orders[order_ref] = order
        self.reject(order_ref, reason, "refused by the rules")

    def _on_modify(self, asked: ModifyOrder) -> None:
        order = self.orders.get(asked.order_ref)
        if not self.capabilities.modify:
            self._refuse_modify(asked, REASON_UNSUPPORTED)
        elif not is_positive(asked.order_qty) or not is_positive(asked.limit_px):
            self._refuse_modify(asked, REASON_MALFORMED)
        elif order is not None and asked.request_ref in self._modified_refs:
            self._say_modified(order, asked.request_ref)
        else:
            super()._on_modify(asked)
            if order is not None and order.is_open:
                self._modified_refs.add(asked.request_ref)
                self._trade(order)

    def _objection(self, asked: NewOrder) -> Reason.ValueType | None:
        if EXEC_INST_POST_ONLY in asked.exec_inst and _takes(asked.side, asked.limit_px):
            return REASON_WOULD_TAKE
        if EXEC_INST_REDUCE_ONLY in asked.exec_inst:
            held = sum((Decimal(each.signed_qty) for each in self._held()), Decimal(0))
            if held >= 0 if asked.side == SIDE_BUY else held <= 0:
                return REASON_WOULD_NOT_REDUCE
        return None

    def _trade(self, order: SimOrder) -> None:
        """Fill what the display allows, and cancel the rest of what never rests."""
        asked = order.asked
        leaves = order.order_qty - order.cum_qty
        qty = min(leaves, DISPLAYED) if _takes(asked.side, order.limit_px) else Decimal(0)
        if asked.time_in_force == TIME_IN_FORCE_FOK and qty < leaves:
            qty = Decimal(0)
        if qty:
            self.fill(asked.order_ref, str(qty), str(ASK if asked.side == SIDE_BUY else BID))
        at_once = asked.ord_type == ORD_TYPE_MARKET or asked.time_in_force in (TIME_IN_FORCE_IOC, TIME_IN_FORCE_FOK)
        if at_once and qty < leaves and order.fate != FATE_CANCELED:
            self.cancel(asked.order_ref, REASON_NOT_FILLED_AT_ONCE)


def _takes(side: int, limit_px: str) -> bool:
    """Whether a limit reaches what is displayed; no limit reaches everything."""
    if not limit_px:
        return True
    return Decimal(limit_px) >= ASK if side == SIDE_BUY else Decimal(limit_px) <= BID
