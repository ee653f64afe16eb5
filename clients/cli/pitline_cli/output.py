"""What a command can say. Two speak it: `JsonLines` to programs, `Tables` to people."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from pitline.ems.v1.admin_service_pb2 import GetStatusResponse
from pitline.ems.v1.event_pb2 import Event, GroupStatus
from pitline.types.v1.account_pb2 import Account
from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline_cli.exits import ExitCode
from pitline_client import OrderView, PitlineError, PositionView


class Output(Protocol):
    """Results go to standard output as they come, errors to standard error."""

    def event(self, event: Event) -> None:
        """One turn of a conversation."""
        ...

    def order(self, order: OrderView, *, in_time: bool) -> None:
        """The last line about one order; `in_time`: it is what was waited for."""
        ...

    def in_air(self, what: str) -> AbstractContextManager[Callable[[str], None]]:
        """Something was asked for and is on its way; the call says what came of it."""
        ...

    def group(self) -> AbstractContextManager[Callable[[GroupStatus], None]]:
        """A group of orders is being canceled; the call says how it stands, again and again."""
        ...

    def orders(self, orders: Sequence[OrderView], *, more: bool) -> None:
        """Several orders; `more`: there are others."""
        ...

    def positions(self, positions: Sequence[PositionView]) -> None:
        """Several positions."""
        ...

    def instruments(self, instruments: Sequence[Instrument]) -> None:
        """Several instruments."""
        ...

    def accounts(self, accounts: Sequence[Account]) -> None:
        """Several accounts."""
        ...

    def status(self, status: GetStatusResponse) -> None:
        """How the EMS stands."""
        ...

    def market(self, update: MarketUpdate) -> None:
        """One change of a market."""
        ...

    def error(self, error: PitlineError, exit_code: ExitCode) -> None:
        """Why the command ends with this code."""
        ...
