"""The handles that somebody holds, by their orders and groups. What nobody holds any more vanishes by itself."""

from collections.abc import Callable
from weakref import WeakValueDictionary

from pitline.ems.v1.command_pb2 import Command, Submit
from pitline.ems.v1.event_pb2 import Event
from pitline_client.blotter import Blotter
from pitline_client.errors import PitlineError
from pitline_client.groups import Groups
from pitline_client.orders import OrderHandle
from pitline_client.views import OrderView


class Handles:
    """Handles of the orders of one client id, and of its groups; `send` takes their commands."""

    __slots__ = ("_by_id", "_client_id", "_send", "groups")

    def __init__(self, client_id: str, send: Callable[[Command], object]) -> None:
        self._client_id = client_id
        self._send = send
        self._by_id: WeakValueDictionary[str, OrderHandle] = WeakValueDictionary()
        self.groups = Groups()

    def get(self, client_order_id: str) -> OrderHandle | None:
        """The handle on this order, if there is one."""
        return self._by_id.get(client_order_id)

    def make(self, client_order_id: str, submit: Submit | None = None) -> OrderHandle:
        """A new handle on an order that has none."""
        handle = OrderHandle(client_order_id, self._send, submit)
        self._by_id[client_order_id] = handle
        return handle

    def note(self, order: OrderView, event: Event) -> None:
        """An event changed this order."""
        if order.client_id == self._client_id:
            handle = self._by_id.get(order.client_order_id)
            if handle is not None:
                handle.note(order, event)

    def note_all(self, blotter: Blotter) -> None:
        """A snapshot replaced every order."""
        for handle in list(self._by_id.values()):
            order = blotter.find(self._client_id, handle.client_order_id)
            if order is not None:
                handle.note(order)

    def missing(self, blotter: Blotter) -> list[OrderHandle]:
        """Those whose order had not ended and is in no snapshot any more: it ended while nobody looked."""
        return [
            handle
            for handle in self._by_id.values()
            if handle.order is not None
            and not handle.order.ended
            and blotter.find(self._client_id, handle.client_order_id) is None
        ]

    def refuse(self, command: Command, error: PitlineError) -> None:
        """A command was refused, or its fate cannot be found out."""
        if command.HasField("cancel_group"):
            self.groups.refuse(command.cancel_group.group_id, error)
            return
        handle = self._by_id.get(_client_order_id(command))
        if handle is not None:
            handle.refuse(command, error)

    def fail(self, error: Exception) -> None:
        """There will be no more events."""
        for handle in list(self._by_id.values()):
            handle.fail(error)
        self.groups.fail(error)


def _client_order_id(command: Command) -> str:
    match command.WhichOneof("kind"):
        case "submit":
            return command.submit.client_order_id
        case "modify":
            return command.modify.order.client_order_id
        case "cancel":
            return command.cancel.order.client_order_id
        case _:
            return ""
