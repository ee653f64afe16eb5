"""`python -m broker_adapters.template [--config FILE]`: the adapter. SIGTERM and SIGINT end it, exit code 0."""

import argparse
import asyncio
import sys
from pathlib import Path

from broker_adapters.template.app import serving
from broker_adapters.template.config import TemplateSettings
from pitline_rpc.config import load
from pitline_rpc.logs import configure
from pitline_rpc.server import run


async def main(stop: asyncio.Event) -> None:
    """Serve until `stop`."""
    parser = argparse.ArgumentParser(prog="broker_adapters.template", description="An adapter to a made-up venue.")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file; PITLINE_TEMPLATE_… variables are over it"
    )
    settings = load(TemplateSettings, parser.parse_args().config)
    configure("template")
    async with serving(settings):
        await stop.wait()


if __name__ == "__main__":
    sys.exit(run(main))
