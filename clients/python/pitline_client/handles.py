"""The handles that somebody holds, by their orders and groups. What nobody holds any more vanishes by itself."""

from collections.abc import Callable
from weakref import WeakValueDictionary

from pitline.ems.v1.command_pb2 import GROUP_LINK_BASKET, GROUP_LINK_UNSPECIFIED, Command, Submit
from pitline.ems.v1.event_pb2 import CommandRefused, Event
from pitline.types.v1.reason_pb2 import REASON_DUPLICATE_ID
from pitline_client.blotter import Blotter
from pitline_client.errors import CommandRefusedError, PitlineError
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

    def submitted(self, submit: Submit) -> OrderHandle | None:
        """The handle with which exactly this was submitted before. Raises CommandRefusedError (DUPLICATE_ID) when its
        id was used with other content."""
        handle = self._by_id.get(submit.client_order_id)
        if handle is None or handle.submitted is None:
            return None
        if handle.submitted != submit:
            text = f"{submit.client_order_id!r} was used with other content"
            raise CommandRefusedError(REASON_DUPLICATE_ID, text, field="submit.client_order_id")
        return handle

    def claim(self, submit: Submit) -> OrderHandle:
        """The handle on what is submitted now; one that was made without a submit is kept, and the EMS compares."""
        return self._by_id.get(submit.client_order_id) or self.make(submit.client_order_id, submit)

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

    def refused(self, command: Command | None, refused: CommandRefused) -> None:
        """The EMS refused a command, or one order of a basket, which others of it may have answered before."""
        retry_seconds = refused.retry_delay.ToNanoseconds() / 1e9 if refused.HasField("retry_delay") else None
        error = CommandRefusedError(refused.reason, refused.text, field=refused.field, retry_seconds=retry_seconds)
        if command is not None and not (_is_basket(command) and refused.client_order_id):
            self.refuse(command, error)
            return
        handle = self._by_id.get(refused.client_order_id)
        if handle is not None and handle.order is None:
            handle.fail(error)

    def refuse(self, command: Command, error: PitlineError) -> None:
        """A command was refused, or its fate cannot be found out."""
        if command.HasField("cancel_group"):
            self.groups.refuse(command.cancel_group.group_id, error)
        for client_order_id in client_order_ids(command):
            handle = self._by_id.get(client_order_id)
            if handle is not None:
                handle.refuse(command, error)

    def fail(self, error: Exception) -> None:
        """There will be no more events."""
        for handle in list(self._by_id.values()):
            handle.fail(error)
        self.groups.fail(error)


def client_order_ids(command: Command) -> list[str]:
    """The orders that a command is about, as far as it names them by their owner's ids."""
    match command.WhichOneof("kind"):
        case "submit":
            return [command.submit.client_order_id]
        case "submit_group":
            return [order.client_order_id for order in command.submit_group.orders]
        case "modify":
            return [command.modify.order.client_order_id]
        case "cancel":
            return [command.cancel.order.client_order_id]
        case _:
            return []


def _is_basket(command: Command) -> bool:
    group = command.submit_group
    return command.HasField("submit_group") and group.link in (GROUP_LINK_UNSPECIFIED, GROUP_LINK_BASKET)
