"""What the acceptance dialogs begin with."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from support.stack import PaperStack, SimStack, paper_stack, sim_stack


@pytest.fixture
async def on_sim(tmp_path: Path) -> AsyncGenerator[SimStack]:
    """An EMS in front of a scripted broker."""
    async with sim_stack(tmp_path) as stack:
        yield stack


@pytest.fixture
async def on_paper(tmp_path: Path) -> AsyncGenerator[PaperStack]:
    """An EMS in front of a paper broker with a scripted market."""
    async with paper_stack(tmp_path) as stack:
        yield stack
