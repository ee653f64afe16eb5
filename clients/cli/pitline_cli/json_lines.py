"""For programs: one JSON object a line, `{"<kind>": {...}}`, what is inside in the contract's own JSON form.

Every field is there, empty or not; decimals and 64-bit numbers are strings, times ISO 8601 in UTC, enums their names.
"""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from pitline.ems.v1.admin_service_pb2 import GetStatusResponse
from pitline.ems.v1.event_pb2 import Event, GroupStatus
from pitline.types.v1.account_pb2 import Account
from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline_cli.exits import ExitCode
from pitline_client import OrderView, PitlineError, PositionView, RefusedError, reason_name


class JsonLines:
    """Kinds: event, order, group, position, instrument, account, status, update, error."""

    def event(self, event: Event) -> None:
        """One turn of a conversation."""
        _line("event", event)

    def order(self, order: OrderView, *, in_time: bool) -> None:
        """The last line about one order; the exit code says whether it was in time."""
        _line("order", order.message)

    def in_air(self, what: str) -> AbstractContextManager[Callable[[str], None]]:
        """Nothing: the order's own lines tell."""
        return nullcontext(lambda outcome: None)

    def group(self) -> AbstractContextManager[Callable[[GroupStatus], None]]:
        """A line each status."""
        return nullcontext(lambda status: _line("group", status))

    def orders(self, orders: Sequence[OrderView], *, more: bool) -> None:
        """A line each."""
        for order in orders:
            _line("order", order.message)

    def positions(self, positions: Sequence[PositionView]) -> None:
        """A line each."""
        for position in positions:
            _line("position", position.message)

    def instruments(self, instruments: Sequence[Instrument]) -> None:
        """A line each."""
        for instrument in instruments:
            _line("instrument", instrument)

    def accounts(self, accounts: Sequence[Account]) -> None:
        """A line each."""
        for account in accounts:
            _line("account", account)

    def status(self, status: GetStatusResponse) -> None:
        """One line."""
        _line("status", status)

    def market(self, update: MarketUpdate) -> None:
        """One change of a market."""
        _line("update", update)

    def error(self, error: PitlineError, exit_code: ExitCode) -> None:
        """One line on standard error."""
        reason, field = (reason_name(error.reason), error.field) if isinstance(error, RefusedError) else ("", "")
        told = {"exit_code": int(exit_code), "reason": reason, "field": field, "text": str(error)}
        print(json.dumps({"error": told}), file=sys.stderr, flush=True)


def _line(kind: str, message: Message) -> None:
    told = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    print(json.dumps({kind: told}), flush=True)
