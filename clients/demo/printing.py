"""The conversation as people read it: one line an event, in columns, in colour on a terminal.

    13:41:55.409  ann         →  ann-1   buy 0.04999 BTC-USDT at the market
    13:41:55.413  ann         ←  ann-1   routed              PENDING_NEW

→ is what a trader says, ← what it hears, = what the EMS says of an account to everybody, and * the stage itself.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from evidence import Evidence, executions, sums
from notes import Heard, Said
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pitline.ems.v1.event_pb2 import BrokerState, Event, Opened
from pitline.types.v1.execution_pb2 import Fill, Liquidity
from pitline.types.v1.position_pb2 import Position
from pitline_client import PositionView, reason_name, status_name
from pitline_rpc.decimals import canonical

_WHO_WIDTH = 12
_ORDER_WIDTH = 6
_WHAT_WIDTH = 16
_STATUS_WIDTH = 16
_TABLE_WIDTH = 132  # a narrow terminal breaks the lines of a table; rich would cut its cells instead

_STYLES = {"ann": "cyan", "bob": "magenta"}


class Transcript:
    """Prints on standard output. Times are UTC."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._wide = Console(highlight=False, width=max(self._console.width, _TABLE_WIDTH))

    def title(self, text: str) -> None:
        """A heading."""
        self._console.print(f"\n{text}", style="bold", markup=False)

    def stage(self, who: str, text: str) -> None:
        """Something about a process."""
        self._line(time.time_ns(), who, "*", Text(text, style="dim"))

    def said(self, who: str, note: Said) -> None:
        """A trader does something."""
        self._line(note.time_ns, who, "→", Text(f"{note.order:<{_ORDER_WIDTH}}  {note.text}", style="bold"))

    def heard(self, who: str, note: Heard, *, missed: bool) -> None:
        """A trader hears of an order of its own, or how its stream began; `missed`: it happened while it was away."""
        event = note.event
        if event.HasField("state"):
            status = status_name(event.state.status)
            words = (
                f"{event.client_order_id:<{_ORDER_WIDTH}}  {_what(event):<{_WHAT_WIDTH}}  "
                f"{status:<{_STATUS_WIDTH}}  {_detail(event)}"
            )
            late = f"  (missed, of {_clock(event.time.ToNanoseconds())})" if missed else ""
            self._line(note.time_ns, who, "←", Text(words.rstrip() + late, style="yellow" if missed else ""))
        elif event.HasField("group_status"):
            status = event.group_status
            counts = f"{status.canceled} of {status.total} canceled, {status.pending} pending"
            self._line(
                note.time_ns,
                who,
                "←",
                Text(f"{status.group_id:<{_ORDER_WIDTH}}  {'group status':<{_WHAT_WIDTH}}  {counts}"),
            )
        elif event.HasField("opened"):
            self._line(note.time_ns, who, "←", Text(f"{'':<{_ORDER_WIDTH}}  {_opening(event.opened)}"))
        elif event.HasField("command_refused"):
            refused = event.command_refused
            text = f"refused: {reason_name(refused.reason)} {refused.field} {refused.text}"
            self._line(note.time_ns, who, "←", Text(f"{'':<{_ORDER_WIDTH}}  {text}", style="red"))

    def happened(self, event: Event) -> None:
        """The EMS tells of an account or a broker; everybody hears the same, so it is printed once."""
        if event.HasField("position_changed"):
            position = event.position_changed.position
            text = f"{'':<{_ORDER_WIDTH}}  {'position':<{_WHAT_WIDTH}}  {_holding(position)}"
            self._line(time.time_ns(), event.account, "=", Text(text, style="green"))
        elif event.HasField("broker_status"):
            state = BrokerState.Name(event.broker_status.state).removeprefix("BROKER_STATE_")
            self._line(time.time_ns(), event.broker_status.broker, "=", Text(f"is {state}"))

    def positions(self, evidence: Evidence) -> None:
        """A table: positions of the EMS and of the broker beside the sums of fills."""
        table = Table(title="Positions", title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
        for left in ("account", "symbol"):
            table.add_column(left, no_wrap=True)
        for right in ("fills", "their sum", "EMS", "paper", "average", "break-even", "realized", "fees"):
            table.add_column(right, justify="right", no_wrap=True)
        fills = executions(evidence.drop_copy)
        expected = sums(fills)
        theirs = {
            (f"{evidence.broker}.{report.account}", report.symbol): report.signed_qty
            for report in evidence.ledger.positions
        }
        for position in map(PositionView, evidence.ems_positions):
            holding = position.account, position.symbol
            table.add_row(
                *holding,
                str(sum((fill.event.account, fill.symbol) == holding for fill in fills)),
                _signed(canonical(expected.get(holding, Decimal(0)))),
                _signed(position.message.signed_qty),
                _signed(theirs.get(holding, "0")),
                _rounded(position.message.avg_px),
                _rounded(position.message.break_even_px),
                _rounded(position.message.realized_pnl.amount),
                ", ".join(f"{_rounded(str(amount))} {currency}" for currency, amount in position.fees.items()),
            )
        self._console.print()
        self._wide.print(table)

    def verdict(self, title: str, faults: Sequence[str]) -> None:
        """The outcome of one check."""
        mark, style = ("FAILED", "bold red") if faults else ("ok", "green")
        self._console.print(Text.assemble((f"{mark:<6}", style), f"  {title}"))
        for fault in faults:
            self._console.print(Text(f"        {fault}", style="red"))

    def failure(self, text: str) -> None:
        """Why the demo fails."""
        self._console.print(Text(text, style="bold red"))

    def _line(self, time_ns: int, who: str, sign: str, words: Text) -> None:
        name = Text(f"{who:<{_WHO_WIDTH}}", style=_STYLES.get(who, "green"))
        self._console.print(Text.assemble((_clock(time_ns), "dim"), "  ", name, f" {sign}  ", words))


def _what(event: Event) -> str:
    kind = event.WhichOneof("change") or ""
    return kind.removeprefix("order_").replace("_", " ")


def _detail(event: Event) -> str:
    match event.WhichOneof("change"):
        case "order_acked":
            return f"the broker calls it {event.order_acked.broker_order_id}"
        case "order_filled":
            return _execution(event.order_filled.fill)
        case "dark_opened":
            return "held at the EMS"
        case "dark_triggered":
            return f"by {event.dark_triggered.trigger_px}: to the broker, limit {event.dark_triggered.child_limit_px}"
        case "alert_triggered":
            return f"by {event.alert_triggered.trigger_px}"
        case "modify_requested":
            return f"limit {event.modify_requested.terms.limit_px} is asked for"
        case "order_modified":
            return f"limit {event.order_modified.terms.limit_px} is in force"
        case "modify_rejected":
            return f"{reason_name(event.modify_rejected.reason)}: {event.modify_rejected.text}"
        case "cancel_stashed":
            return "waits for the ack"
        case "order_canceled":
            return event.order_canceled.text or f"filled {event.state.cum_qty} of {event.state.order_qty}"
        case "cancel_rejected":
            return f"{reason_name(event.cancel_rejected.reason)}: {event.cancel_rejected.text}"
        case "order_rejected":
            return f"{reason_name(event.order_rejected.reason)}: {event.order_rejected.text}"
        case "order_denied":
            return f"{reason_name(event.order_denied.reason)}: {event.order_denied.text}"
        case _:
            return ""


def _execution(fill: Fill) -> str:
    side = "sold" if fill.signed_qty.startswith("-") else "bought"
    liquidity = Liquidity.Name(fill.liquidity).removeprefix("LIQUIDITY_").lower()
    quantity = fill.signed_qty.lstrip("-")
    return f"{side} {quantity} @ {fill.price} as {liquidity}, fee {_rounded(fill.fee.amount)} {fill.fee.currency}"


def _opening(opened: Opened) -> str:
    if opened.mode == Opened.MODE_RESUMED:
        return f"attends again: what was missed follows, up to seq {opened.head_seq}"
    return f"attends: a snapshot of everything up to seq {opened.head_seq}"


def _holding(position: Position) -> str:
    average = f" @ {_rounded(position.avg_px)}" if position.avg_px else ""
    return f"{_signed(position.signed_qty)} {position.symbol}{average}"


def _signed(number: str) -> str:
    return number if number.startswith("-") or number == "0" else f"+{number}"


def _rounded(number: str) -> str:
    """At most six decimals, for people; nothing for nothing."""
    return canonical(round(Decimal(number), 6)) if number else ""


def _clock(time_ns: int) -> str:
    seconds, fraction_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{fraction_ns // 1_000_000:03}"
