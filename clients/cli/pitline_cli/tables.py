"""For people: a line a turn, tables for what there is."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pitline.ems.v1.admin_service_pb2 import BrokerReport, FeedReport, GetStatusResponse
from pitline.ems.v1.event_pb2 import BrokerState, Event, GroupStatus
from pitline.types.v1.account_pb2 import Account, Environment
from pitline.types.v1.instrument_pb2 import Instrument
from pitline.types.v1.market_pb2 import MarketUpdate
from pitline.types.v1.order_pb2 import EXECUTION_ALERT
from pitline_cli.exits import ExitCode
from pitline_cli.market_words import feed_word, market_name, market_words
from pitline_cli.words import clock, group_words, order_words, sentence, side_word, terms_words
from pitline_client import OrderView, PitlineError, PositionView

_PIPE_WIDTH = 240
"""Columns where nobody's terminal sets a width: tables must not be cut when they are piped."""

_NONE = "-"


class Tables:
    """Writes to the terminal, or plainly into a pipe."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)

    def event(self, event: Event) -> None:
        """One turn: time in UTC, seq, words."""
        seq = str(event.seq) if event.seq else _NONE
        self._say(f"{clock(event.time)} {seq:>8}  {sentence(event)}")

    def order(self, order: OrderView, *, in_time: bool) -> None:
        """The last line about one order."""
        late = "" if in_time else "not in time; "
        self._say(f"{late}{order.client_order_id} ({order.order_id}), {terms_words(order.terms)}: {order_words(order)}")

    @contextmanager
    def in_air(self, what: str) -> Generator[Callable[[str], None]]:
        """One line in the end; until then, on a terminal, a line that is on the move."""
        outcomes: list[str] = []
        with self._console.status(Text(f"{what} …")):
            yield outcomes.append
        self._say(f"{what} … {', '.join(outcomes)}")

    @contextmanager
    def group(self) -> Generator[Callable[[GroupStatus], None]]:
        """The same, changing with every status."""
        told: list[GroupStatus] = []
        with self._console.status(Text("canceling …")) as line:

            def tell(status: GroupStatus) -> None:
                told[:] = [status]
                line.update(Text(_group_line(status)))

            yield tell
        for status in told:
            self._say(_group_line(status))
            if not status.finished:
                self._say(f"`pitline group {status.group_id}` tells the rest")

    def orders(self, orders: Sequence[OrderView], *, more: bool) -> None:
        """Newest first."""
        table = _table(
            "submitted (UTC)", "client", "client order id", "order id", "account", "symbol", "side", ">qty", ">filled",
            ">limit", ">trigger", ">avg", "status",
        )  # fmt: skip
        for order in orders:
            state = order.message.state
            doubt = " (in doubt)" if state.in_doubt else ""
            is_alert = order.terms.execution == EXECUTION_ALERT
            table.add_row(
                order.message.submit_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"),
                order.client_id,
                order.client_order_id,
                order.order_id,
                order.account,
                order.symbol,
                "alert" if is_alert else side_word(order.side),
                _NONE if is_alert else state.order_qty,
                _NONE if is_alert else state.cum_qty or "0",
                order.terms.limit_px or _NONE,
                order.terms.trigger.price or order.terms.stop_px or _NONE,
                state.avg_px or _NONE,
                order.status_name + doubt,
            )
        self._show(table, "no orders")
        if more:
            self._say("there are more: --limit shows them")

    def positions(self, positions: Sequence[PositionView]) -> None:
        """By account, then symbol."""
        table = _table("account", "symbol", ">quantity", ">average", ">break even", ">realized", "fees")
        for position in positions:
            message = position.message
            realized = message.realized_pnl
            table.add_row(
                position.account,
                position.symbol,
                message.signed_qty or "0",
                message.avg_px or _NONE,
                message.break_even_px or _NONE,
                f"{realized.amount} {realized.currency}" if realized.amount else _NONE,
                ", ".join(f"{fee.amount} {fee.currency}" for fee in message.fees) or _NONE,
            )
        self._show(table, "no positions")

    def instruments(self, instruments: Sequence[Instrument]) -> None:
        """By broker, then symbol."""
        table = _table("broker", "symbol", "quoted in", ">tick", ">lot", ">smallest quantity", ">smallest notional")
        for instrument in instruments:
            table.add_row(
                instrument.key.broker,
                instrument.key.symbol,
                instrument.quote_currency,
                ", ".join(_band(band.from_px, band.tick_size) for band in instrument.ticks),
                instrument.lot_size,
                instrument.min_qty or instrument.lot_size,
                instrument.min_notional or _NONE,
            )
        self._show(table, "no instruments")

    def accounts(self, accounts: Sequence[Account]) -> None:
        """By name."""
        table = _table("account", "broker", "environment", "base currency")
        for account in accounts:
            table.add_row(account.account, account.broker, _environment(account.environment), account.base_currency)
        self._show(table, "no accounts")

    def status(self, status: GetStatusResponse) -> None:
        """The EMS in a few lines, its brokers in a table, its feeds in another."""
        started = status.start_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
        self._say(f"pitline {status.build}, since {started} UTC, durability {status.durability or _NONE}")
        self._say(f"journal {status.journal_id}, epoch {status.epoch}, seq {status.head_seq}")
        clients = f"{status.attending_clients} attending clients, {status.watchers} watchers"
        self._say(f"{status.open_orders} open orders, {clients}")
        for notice in status.notices:
            self._say(f"notice: {notice}")
        table = _table("broker", "state", "environment", "address", "store", ">seq", ">connects", "text")
        for broker in status.brokers:
            table.add_row(
                broker.broker,
                BrokerState.Name(broker.state).removeprefix("BROKER_STATE_").lower(),
                _environment(broker.environment),
                broker.address,
                broker.store_id or _NONE,
                str(broker.broker_seq),
                str(broker.connects),
                _broker_words(broker),
            )
        self._show(table, "no brokers")
        if status.feeds:
            self._feeds(status.feeds)

    def market(self, update: MarketUpdate) -> None:
        """One line: time in UTC, market, what changed."""
        missed = f" (missed {update.missed})" if update.missed else ""
        market = market_name(update.key)
        self._say(f"{clock(update.market_time)} {market:<20} {market_words(update)}{missed}")

    def error(self, error: PitlineError, exit_code: ExitCode) -> None:
        """One line on standard error."""
        print(f"pitline: {error}", file=sys.stderr, flush=True)

    def _feeds(self, feeds: Sequence[FeedReport]) -> None:
        table = _table("market", "feed", ">silent for s", ">updates", ">consumers", ">depth")
        for feed in feeds:
            table.add_row(
                market_name(feed.key),
                feed_word(feed.state),
                f"{feed.silence.ToNanoseconds() / 1e9:.1f}" if feed.HasField("silence") else _NONE,
                str(feed.updates),
                str(feed.consumers),
                str(max(feed.depth, 1)),
            )
        self._console.print(table)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def _show(self, table: Table, nothing: str) -> None:
        if table.row_count:
            self._console.print(table)
        else:
            self._say(nothing)


def _group_line(status: GroupStatus) -> str:
    return f"canceling {status.total} … {group_words(status)}"


def _table(*columns: str) -> Table:
    """Columns by heading; those with ">" in front are numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        numbers = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if numbers else "left", overflow="fold")
    return table


def _broker_words(broker: BrokerReport) -> str:
    """Why it is down, and what waits for an operator."""
    words = [broker.text] if broker.text else []
    if broker.refused_store_id:
        words.append(f"store {broker.refused_store_id} waits for `pitline adopt {broker.broker}`")
    if broker.in_doubt_orders:
        words.append(f"{broker.in_doubt_orders} orders in doubt")
    if broker.quarantined:
        words.append(f"{broker.quarantined} events quarantined")
    return "; ".join(words)


def _band(from_px: str, tick_size: str) -> str:
    return tick_size if from_px in ("", "0") else f"{tick_size} from {from_px}"


def _environment(environment: Environment.ValueType) -> str:
    return Environment.Name(environment).removeprefix("ENVIRONMENT_").lower()
