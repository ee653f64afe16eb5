"""`python -m paper_broker [--config FILE]`: a paper broker of its own. SIGTERM and SIGINT end it, exit code 0."""

import argparse
import asyncio
import sys
from pathlib import Path

from paper_broker.app import serving
from paper_broker.config import PaperSettings
from pitline_rpc.config import load
from pitline_rpc.logs import configure
from pitline_rpc.server import run


async def main(stop: asyncio.Event) -> None:
    """Serve until `stop`."""
    parser = argparse.ArgumentParser(prog="paper_broker", description="A paper broker that serves pitline.broker.v1.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; PITLINE_PAPER_… variables are over it")
    settings = load(PaperSettings, parser.parse_args().config)
    configure("paper_broker")
    async with serving(settings):
        await stop.wait()


if __name__ == "__main__":
    sys.exit(run(main))
