"""A paper broker with a scripted market, on a socket, as an EMS meets it."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from paper_broker.app import Running, serving
from paper_broker.config import PaperSettings
from support.broker_dialog import BrokerDialog
from support.script import ScriptedMarket
from support.services import InProcess


@pytest.fixture
def choices() -> dict[str, Any]:
    """Settings that are not the default ones; a module may choose its own."""
    return {}


@pytest.fixture
async def paper(tmp_path: Path, choices: dict[str, Any]) -> AsyncGenerator[InProcess]:
    """A broker that serves, and can be restarted."""

    def on(bind: str) -> AbstractAsyncContextManager[Running]:
        data_dir = tmp_path / "paper"
        settings = PaperSettings(bind=bind, data_dir=data_dir, durability="flush", market="script", **choices)
        return serving(settings)

    broker = InProcess(on)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def market(paper: InProcess) -> AsyncGenerator[ScriptedMarket]:
    """The hand on its market."""
    hand = ScriptedMarket(paper.address)
    yield hand
    await hand.close()


@pytest.fixture
async def ems(paper: InProcess) -> AsyncGenerator[BrokerDialog]:
    """An EMS that was attached for the first time and has been told everything that stands."""
    async with BrokerDialog(paper.address) as dialog:
        await dialog.hello()
        await dialog.recovered()
        yield dialog
