"""Arguments and options that several commands share."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer

from pitline_cli.arguments import (
    Direction,
    Route,
    Source,
    Tif,
    Wait,
    distance,
    identifier,
    moment,
    not_negative,
    positive,
    seconds,
)

OrderArgument = Annotated[str, typer.Argument(help="The EMS's id of the order, or yours.", show_default=False)]
Symbol = Annotated[str, typer.Argument(help="Neutral symbol, e.g. BTC-USDT.", show_default=False)]
Qty = Annotated[
    Decimal,
    typer.Argument(help="Quantity, > 0, a multiple of the lot.", parser=positive, metavar="QTY", show_default=False),
]
Price = Annotated[
    Decimal,
    typer.Argument(help="Price, > 0, quote currency per unit.", parser=positive, metavar="PX", show_default=False),
]
Limit = Annotated[
    Decimal | None,
    typer.Option(
        help="Limit price, > 0, quote currency per unit; without it a market order, or the limit that --dark gives.",
        parser=positive,
        metavar="PX",
    ),
]
Dark = Annotated[
    Decimal | None,
    typer.Option(
        help="Hold the order in the EMS, unknown to the broker, until this price is there.",
        parser=positive,
        metavar="PX",
    ),
]
MaxSlippage = Annotated[
    Decimal | None,
    typer.Option(help="With --dark: how far beyond it the limit may be.", parser=not_negative, metavar="PX"),
]
Stop = Annotated[
    Decimal | None,
    typer.Option(help="Go to the market, or to --limit, when the last price is there.", parser=positive, metavar="PX"),
]
TrailOption = Annotated[
    str | None,
    typer.Option(
        help="A stop that follows the last price at this distance, 2 or 2%.", parser=distance, metavar="DISTANCE"
    ),
]
SourceOption = Annotated[
    Source | None,
    typer.Option(help="Price that the trigger watches. Default: a dark buy ask and last, a dark sell bid and last, an "
                 "alert last.", case_sensitive=False, show_default=False),
]  # fmt: skip
DirectionOption = Annotated[
    Direction | None,
    typer.Option(
        help="From where the trigger is reached. Default: from the price of now.",
        case_sensitive=False,
        show_default=False,
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        help="Account, e.g. paper.main; without it the only one there is.", envvar="PITLINE_ACCOUNT", show_default=False
    ),
]
RouteOption = Annotated[
    Route | None,
    typer.Option(
        help="best: the EMS picks the accounts, by best price and displayed quantity.",
        case_sensitive=False,
        show_default=False,
    ),
]
TifOption = Annotated[Tif, typer.Option(help="How long the order stands.", case_sensitive=False)]
Expire = Annotated[
    datetime | None,
    typer.Option(help="When a gtd order ends, ISO 8601 with Z or an offset.", parser=moment, metavar="TIME"),
]
PostOnly = Annotated[bool, typer.Option("--post-only", help="Rejected rather than taking liquidity.")]
ReduceOnly = Annotated[bool, typer.Option("--reduce-only", help="Never opens or turns a position.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="A word of yours to find it by; may be repeated.", metavar="KEY=VALUE"),
]
ClientOrderId = Annotated[
    str | None,
    typer.Option(
        help="Your id of the order; the same id with the same content is never carried out twice. Default: a new one.",
        parser=identifier,
        metavar="ID",
    ),
]
WaitOption = Annotated[
    Wait | None,
    typer.Option(
        help="Return at this point; acked: the broker has it, or the EMS holds it. Default: done for what ends at once "
        "(market, ioc, fok), acked otherwise."
    ),
]
Timeout = Annotated[float, typer.Option(help="How long to wait at most.", parser=seconds, metavar="SECONDS")]
