"""What a client asks of its event stream, checked: the view, where to begin, and heartbeats. For open and for
WatchRequest.
"""

from dataclasses import dataclass

from ems_service.convert.checks import a_filter, a_symbol, absent, an_account, an_id, an_id_or_none, malformed
from ems_service.limits import GRACE_SECONDS_MAX, HEARTBEAT_SECONDS_MAX
from ems_service.publisher import View
from ems_service.servicers.opening import Token
from pitline.ems.v1 import command_pb2, trading_service_pb2
from pitline.types.v1 import reason_pb2


@dataclass(frozen=True, slots=True)
class Opening:
    """What a stream shows, where it begins, and how often it says that it lives (0: never)."""

    view: View
    token: Token
    heartbeat_seconds: int
    cancel_after_seconds: int | None = None
    """When attendance is lost: cancel the client's orders after this grace; None: they stand."""
    cancel_includes_dark: bool = False


def opening_of(message: command_pb2.Open, principal: str) -> Opening:
    """Raises Refused with the field at fault."""
    client_id = an_id(message.client_id, "open.client_id")
    view = View(principal, client_id, _accounts(message.view, "open.view"))
    heartbeat_seconds = _heartbeat_seconds(message.heartbeat_seconds, "open.")
    token, grace = _token(message, "open."), _cancel_after_seconds(message)
    return Opening(view, token, heartbeat_seconds, grace, message.disconnect_includes_dark)


def _cancel_after_seconds(message: command_pb2.Open) -> int | None:
    grace_seconds = message.disconnect_grace_seconds
    match message.on_disconnect:
        case command_pb2.ON_DISCONNECT_CANCEL_MINE:
            if grace_seconds > GRACE_SECONDS_MAX:
                text = f"open.disconnect_grace_seconds is {grace_seconds}, more than {GRACE_SECONDS_MAX}"
                raise malformed(reason_pb2.REASON_OUT_OF_RANGE, "open.disconnect_grace_seconds", text)
            return grace_seconds
        case command_pb2.ON_DISCONNECT_UNSPECIFIED | command_pb2.ON_DISCONNECT_KEEP:
            absent(grace_seconds, "open.disconnect_grace_seconds", "only CANCEL_MINE has a grace")
            absent(message.disconnect_includes_dark, "open.disconnect_includes_dark", "only CANCEL_MINE cancels")
            return None
        case _:
            text = f"open.on_disconnect is {message.on_disconnect}, not one of KEEP, CANCEL_MINE"
            raise malformed(reason_pb2.REASON_UNKNOWN_VALUE, "open.on_disconnect", text)


def watching_of(message: trading_service_pb2.WatchRequest, principal: str) -> Opening:
    """Raises Refused with the field at fault."""
    accounts = _accounts(message.view, "view")
    if accounts is None:
        client_id = an_id(message.client_id, "client_id")
    else:
        client_id = an_id_or_none(message.client_id, "client_id")
    symbols = a_filter(message.symbols, "symbols", a_symbol)
    client_ids = a_filter(message.client_ids, "client_ids", an_id)
    view = View(principal, client_id, accounts, symbols, client_ids)
    return Opening(view, _token(message, ""), _heartbeat_seconds(message.heartbeat_seconds, ""))


def _accounts(view: command_pb2.View, path: str) -> frozenset[str] | None:
    match view.scope:
        case command_pb2.View.SCOPE_UNSPECIFIED | command_pb2.View.SCOPE_OWN:
            absent(list(view.accounts), f"{path}.accounts", "the scope is OWN")
            return None
        case command_pb2.View.SCOPE_ACCOUNTS:
            return a_filter(view.accounts, f"{path}.accounts", an_account)
        case _:
            text = f"{path}.scope is {view.scope}, not one of OWN, ACCOUNTS"
            raise malformed(reason_pb2.REASON_UNKNOWN_VALUE, f"{path}.scope", text)


def _token(message: command_pb2.Open | trading_service_pb2.WatchRequest, path: str) -> Token:
    journal_id = an_id_or_none(message.journal_id, f"{path}journal_id")
    absent(not journal_id and message.resume_after_seq, f"{path}resume_after_seq", "journal_id is not")
    return Token(journal_id, message.resume_after_seq)


def _heartbeat_seconds(seconds: int, path: str) -> int:
    if seconds > HEARTBEAT_SECONDS_MAX:
        text = f"{path}heartbeat_seconds is {seconds}, more than {HEARTBEAT_SECONDS_MAX}"
        raise malformed(reason_pb2.REASON_OUT_OF_RANGE, f"{path}heartbeat_seconds", text)
    return seconds
