"""`python -m broker_adapters.fix [--config FILE]`: a FIX adapter of its own. SIGTERM and SIGINT end it, exit code 0."""

import argparse
import asyncio
import faulthandler
import sys
from pathlib import Path

from broker_adapters.fix.app import serving
from broker_adapters.fix.config import FixSettings
from pitline_rpc.config import load
from pitline_rpc.logs import configure
from pitline_rpc.server import run


async def main(stop: asyncio.Event) -> None:
    """Serve until `stop`."""
    parser = argparse.ArgumentParser(
        prog="broker_adapters.fix", description="A FIX session that serves pitline.broker.v1."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; PITLINE_FIX_… variables are over it")
    faulthandler.enable()  # QuickFIX is C++: should it die, it says where
    settings = load(FixSettings, parser.parse_args().config)
    configure("fix_adapter")
    async with serving(settings):
        await stop.wait()


if __name__ == "__main__":
    sys.exit(run(main))
