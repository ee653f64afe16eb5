"""`up`: an EMS and a paper broker on this machine, in the foreground."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pitline_cli.arguments import address
from pitline_cli.exits import ExitCode
from pitline_cli.invocation import Invocation, invocation
from pitline_cli.stack import Server, Stack, StackError

_REPLAY = "replay:"
_REMOTE = "remote:"


def data_home() -> Path:
    """Where the platform keeps a user's data (XDG base directories)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _market(text: str) -> str:
    """A market of the paper broker; recordings by absolute path."""
    if text in ("seeded", "script"):
        return text
    if text.startswith(_REMOTE):
        address(text.removeprefix(_REMOTE).partition("/")[0])
        return text
    if not text.startswith(_REPLAY):
        raise typer.BadParameter(f"{text!r} is not seeded, script, replay:FILE[,FILE...] or remote:HOST:PORT[/BROKER]")
    files = [Path(name) for name in text.removeprefix(_REPLAY).split(",")]
    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"{str(file)!r}: no such file")
    return _REPLAY + ",".join(str(file.absolute()) for file in files)


def _speed(text: str) -> str:
    """A speed of the paper broker's market clock."""
    try:
        valid = text == "max" or 0 < float(text) < float("inf")
    except ValueError:
        valid = False
    if not valid:
        raise typer.BadParameter(f"{text!r} is not a number above 0, or max")
    return text


def up(
    context: typer.Context,
    paper: Annotated[
        str, typer.Option(help="Address of the paper broker.", parser=address, metavar="HOST:PORT")
    ] = "127.0.0.1:7420",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where everything is kept. Default: pitline in the user's data directory.", show_default=False
        ),
    ] = None,
    market: Annotated[
        str,
        typer.Option(
            help="seeded, replay:FILE[,FILE...], remote:HOST:PORT[/BROKER] or script.", parser=_market, metavar="MARKET"
        ),
    ] = "seeded",
    speed: Annotated[
        str,
        typer.Option(
            help="Market seconds in a second, > 0, or max: as quickly as possible.", parser=_speed, metavar="N"
        ),
    ] = "1",
) -> None:
    """Run an EMS (at the global --ems) and a paper broker until Ctrl-C; what they keep is there again next time."""
    options = invocation(context)
    folder = (data_dir or data_home() / "pitline").absolute()
    try:
        exit_code = asyncio.run(_until_signaled(options, *_servers(folder, options.ems, paper, market, speed)))
    except StackError as error:
        print(f"pitline: {error}", file=sys.stderr)
        exit_code = ExitCode.UNEXPECTED
    raise typer.Exit(exit_code)


def _servers(folder: Path, ems: str, paper: str, market: str, speed: str) -> tuple[Server, Server]:
    paper_environment = {
        "PITLINE_PAPER_BIND": paper,
        "PITLINE_PAPER_DATA_DIR": str(folder / "paper"),
        "PITLINE_PAPER_MARKET": market,
        "PITLINE_PAPER_PLAYBACK__SPEED": speed,
    }
    ems_environment = {
        "PITLINE_EMS_BIND": ems,
        "PITLINE_EMS_DATA_DIR": str(folder / "ems"),
        "PITLINE_EMS_BROKERS__PAPER__ADDRESS": paper,
    }
    return (
        Server("the paper broker", "paper_broker", paper, paper_environment, folder / "paper.log"),
        Server("the EMS", "ems_service", ems, ems_environment, folder / "ems.log"),
    )


async def _until_signaled(options: Invocation, paper: Server, ems: Server) -> ExitCode:
    """Run both until SIGINT or SIGTERM; raises StackError when they cannot run on."""
    running = asyncio.create_task(_run(options, paper, ems))
    for number in (signal.SIGINT, signal.SIGTERM):
        # Once: a second signal must not cut short the ending of the children, which takes 12 s each at most.
        asyncio.get_running_loop().add_signal_handler(number, lambda: running.cancelling() or running.cancel())
    await asyncio.wait((running,))
    if not running.cancelled():
        running.result()
    return ExitCode.DONE


async def _run(options: Invocation, paper: Server, ems: Server) -> None:
    async with Stack() as stack:
        pids = {"paper": await stack.start(paper), "ems": await stack.start(ems)}
        await stack.broker_up(ems)
        if options.as_json:
            _say_line(paper, ems, pids)
        else:
            _say(paper, ems)
        await stack.died()


def _say_line(paper: Server, ems: Server, pids: Mapping[str, int]) -> None:
    up = {"ems": ems.address, "paper": paper.address, "data_dir": str(ems.log.parent), "pids": pids}
    print(json.dumps({"up": up}), flush=True)


def _say(paper: Server, ems: Server) -> None:
    elsewhere = f"--ems {ems.address} " if ems.address != "127.0.0.1:7410" else ""
    print(
        f"EMS           {ems.address}   (log {ems.log})\n"
        f"paper broker  {paper.address}   (log {paper.log})\n"
        "\n"
        "In another terminal:\n"
        f"  pitline {elsewhere}instruments\n"
        f"  pitline {elsewhere}accounts\n"
        f"  pitline {elsewhere}quotes BTC-USDT\n"
        f"  pitline {elsewhere}buy BTC-USDT 0.01 --account paper.main\n"
        f"  pitline {elsewhere}positions\n"
        "Ctrl-C ends both; what happened is kept.",
        flush=True,
    )
