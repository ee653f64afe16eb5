"""From a client's submit_group to a command of the core, checked field by field.

Called by the servicers. Raises Refused with the field at fault, an order by its place in the group.
"""

from ems_service.convert.checks import an_id, malformed, one_of
from ems_service.convert.command import submit
from ems_service.core.family import Link
from ems_service.core.inputs import Cause, Submit, SubmitGroup
from ems_service.core.values import Placement
from ems_service.limits import GROUP_ORDERS_MAX
from pitline.ems.v1 import command_pb2
from pitline.types.v1 import reason_pb2
from pitline_rpc.status import Refused

_PATH = "submit_group"
_ORDERS = {Link.BASKET: (1, GROUP_ORDERS_MAX), Link.BRACKET: (3, 3)}
_LINKED = (2, GROUP_ORDERS_MAX)


def submit_group(message: command_pb2.SubmitGroup, cause: Cause) -> SubmitGroup:
    """Several new orders. `cause.client_id` owns them."""
    group_id = an_id(message.group_id, f"{_PATH}.group_id")
    link = one_of(Link, message.link, f"{_PATH}.link", Link.BASKET)
    least, most = _ORDERS.get(link, _LINKED)
    number = len(message.orders)
    if not least <= number <= most:
        reason = reason_pb2.REASON_TOO_LARGE if number > most else reason_pb2.REASON_REQUIRED
        bound = f"exactly {most}" if least == most else f"{least} to {most}"
        text = f"{_PATH}.orders has {number} orders, and a {link.name} {bound}"
        raise malformed(reason, f"{_PATH}.orders", text)
    orders = tuple(_order(order, cause, place) for place, order in enumerate(message.orders))
    _no_id_twice(orders)
    if link is not Link.BASKET:
        _linkable(link, orders)
    return SubmitGroup(cause, group_id, link, orders)


def _order(message: command_pb2.Submit, cause: Cause, place: int) -> Submit:
    try:
        return submit(message, cause)
    except Refused as refused:
        text, field = (said.replace("submit", _path(place), 1) for said in (refused.text, refused.field))
        raise Refused(refused.code, refused.reason, text, field=field) from None


def _no_id_twice(orders: tuple[Submit, ...]) -> None:
    names: set[str] = set()
    for place, order in enumerate(orders):
        if order.client_order_id in names:
            field = f"{_path(place)}.client_order_id"
            text = f"{field} is {order.client_order_id!r}, which an order before it has"
            raise malformed(reason_pb2.REASON_DUPLICATE_ID, field, text)
        names.add(order.client_order_id)


def _linkable(link: Link, orders: tuple[Submit, ...]) -> None:
    """Linked orders share an account, a symbol and a quantity: what one fills is taken from another."""
    first = orders[0].terms
    for place, order in enumerate(orders):
        terms = order.terms
        if terms.condition is not None and terms.condition.execution is Placement.ALERT:
            raise _unlinkable(place, "execution", "ALERT", "an alert is linked to nothing")
        if terms.routes_best:
            raise _unlinkable(place, "route", "BEST", "linked orders are of one account")
        if terms.account != first.account:
            raise _unlinkable(place, "account", terms.account, f"the first is of {first.account}")
        if terms.symbol != first.symbol:
            raise _unlinkable(place, "symbol", terms.symbol, f"the first is in {first.symbol}")
        if terms.order_qty != first.order_qty:
            raise _unlinkable(place, "order_qty", f"{terms.order_qty:f}", f"the first is for {first.order_qty:f}")
        if link is Link.BRACKET and place and terms.side is first.side:
            raise _unlinkable(place, "side", terms.side.name, "so is the entry")


def _unlinkable(place: int, name: str, value: str, why: str) -> Refused:
    field = f"{_path(place)}.terms.{name}"
    return malformed(reason_pb2.REASON_UNSUPPORTED, field, f"{field} is {value}, and {why}")


def _path(place: int) -> str:
    return f"{_PATH}.orders[{place}]"
