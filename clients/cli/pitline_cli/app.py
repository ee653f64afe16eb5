"""The command put together: its global options and its subcommands."""

from typing import Annotated

import typer

from pitline.types.v1.order_pb2 import SIDE_BUY, SIDE_SELL
from pitline_cli import (
    canceling,
    conform,
    journal,
    linking,
    listing,
    modifying,
    operating,
    recording,
    streaming,
    submitting,
    up,
)
from pitline_cli.arguments import address, identifier
from pitline_cli.exits import EPILOG
from pitline_cli.invocation import Invocation

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # slow to import, and for this alone

        print(f"pitline {version('pitline')}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def _options(  # pyright: ignore[reportUnusedFunction] - registered by the decorator
    context: typer.Context,
    ems: Annotated[
        str, typer.Option(help="Address of the EMS.", envvar="PITLINE_EMS", parser=address, metavar="HOST:PORT")
    ] = "127.0.0.1:7410",
    client_id: Annotated[
        str,
        typer.Option(help="Owner of the orders.", envvar="PITLINE_CLIENT_ID", parser=identifier, metavar="ID"),
    ] = "cli",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line; decimals are strings, times ISO 8601 in UTC.")
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Say the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Trade through Pitline, an execution management system: one conversation with every broker."""
    context.obj = Invocation(ems, client_id, as_json)


app.command()(up.up)
app.command("buy")(
    submitting.ordering(SIDE_BUY, "Buy, at the market or at --limit or better; every turn is printed as it happens.")
)
app.command("sell")(submitting.ordering(SIDE_SELL, "Sell, long or short; otherwise as buy."))
app.command()(submitting.alert)
app.command()(linking.bracket)
app.command()(linking.oco)
app.command()(modifying.modify)
app.command()(canceling.cancel)
app.command()(canceling.group)
app.command()(listing.orders)
app.command()(listing.positions)
app.command()(streaming.watch)
app.command()(streaming.quotes)
app.command()(recording.record)
app.command()(listing.status)
app.command()(operating.resolve)
app.command()(operating.adopt)
app.command("adopt-position")(operating.adopt_position)
app.command()(listing.instruments)
app.command()(listing.accounts)
app.command()(journal.journal)
app.command()(conform.conform)
