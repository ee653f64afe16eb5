"""The orders and positions that a stream of events amounts to. Pure, and the same for every kind of stream.

A snapshot replaces everything at once, when it is whole: until then the blotter stands as it was.
"""

from collections import deque

from pitline.ems.v1.event_pb2 import Event, Opened
from pitline.types.v1.order_pb2 import Order
from pitline.types.v1.position_pb2 import Position
from pitline_client.folding import begun_by, fold
from pitline_client.limits import ENDED_ORDERS_MAX
from pitline_client.views import OrderView, PositionView


class Blotter:
    """Orders by the EMS's id, positions by (account, symbol)."""

    __slots__ = ("_by_client", "_ended", "_snapshot", "orders", "positions")

    def __init__(self) -> None:
        self.orders: dict[str, OrderView] = {}
        self.positions: dict[tuple[str, str], PositionView] = {}
        self._by_client: dict[tuple[str, str], OrderView] = {}
        self._ended: deque[str] = deque()
        self._snapshot: Blotter | None = None

    def find(self, client_id: str, client_order_id: str) -> OrderView | None:
        """The order that its owner calls so."""
        return self._by_client.get((client_id, client_order_id))

    def apply(self, event: Event) -> OrderView | None:
        """Take one event, in order; the order that it changed, if it changed one."""
        match event.WhichOneof("change"):
            case "opened":
                self._snapshot = Blotter() if event.opened.mode == Opened.MODE_SNAPSHOT else None
            case "view_changed":
                self._snapshot = Blotter()
            case "snapshot_order":
                if self._snapshot is None or event.snapshot_order.duplicate:
                    return self.put_order(event.snapshot_order.order)
                self._snapshot.put_order(event.snapshot_order.order)
            case "snapshot_position":
                (self._snapshot or self).put_position(event.snapshot_position.position)
            case "snapshot_complete":
                self._adopt_snapshot()
            case "position_changed":
                self.put_position(event.position_changed.position)
            case "position_adopted":
                self.put_position(event.position_adopted.position)
            case "external_order":
                return self.put_order(event.external_order.order)
            case _:
                if event.order_id and event.HasField("state"):
                    return self._fold(event)
        return None

    def put_order(self, order: Order) -> OrderView:
        """Take an order as it stands, unless a later state of it is known."""
        known = self.orders.get(order.order_id)
        if known is not None:
            was_ended = known.ended
            if order.last_seq >= known.message.last_seq:
                known.message.CopyFrom(order)
            self._bound(known, was_ended)
            return known
        copy = Order()
        copy.CopyFrom(order)  # so that the batch it came in can be freed
        return self._add(OrderView(copy))

    def put_position(self, position: Position) -> None:
        """Take a position as it stands."""
        copy = Position()
        copy.CopyFrom(position)
        self.positions[position.account, position.symbol] = PositionView(copy)

    def _fold(self, event: Event) -> OrderView:
        view = self.orders.get(event.order_id) or self._add(OrderView(begun_by(event)))
        was_ended = view.ended
        fold(view.message, event)
        self._bound(view, was_ended)
        return view

    def _add(self, view: OrderView) -> OrderView:
        self.orders[view.order_id] = view
        self._by_client[view.client_id, view.client_order_id] = view
        self._bound(view, was_ended=False)
        return view

    def _bound(self, view: OrderView, was_ended: bool) -> None:
        """Forget the oldest of the ended orders, for each one that ends beyond the bound."""
        if was_ended or not view.ended:
            return
        self._ended.append(view.order_id)
        if len(self._ended) > ENDED_ORDERS_MAX:
            forgotten = self.orders.pop(self._ended.popleft(), None)
            if forgotten is not None:
                self._by_client.pop((forgotten.client_id, forgotten.client_order_id), None)

    def _adopt_snapshot(self) -> None:
        if self._snapshot is None:
            return
        snapshot, self._snapshot = self._snapshot, None
        self.orders = snapshot.orders
        self.positions = snapshot.positions
        self._by_client = snapshot._by_client
        self._ended = snapshot._ended
