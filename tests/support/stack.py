"""A whole stack for a test: an EMS in front of a paper broker or of `sim`, a desk at it, everything in one folder."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ems_service.app
import paper_broker.app
from ems_service.config import BrokerSection, Config as EmsConfig
from ems_service.journal import Durability
from paper_broker.config import PaperSettings
from paper_broker.market.settings import MarketSettings
from support.desk import Desk
from support.script import ScriptedMarket
from support.services import InProcess, Listening, Subprocess
from support.sim import Sim

ANSWER_SECONDS = 60.0
"""Time of a broker for an answer where a test is not about it: what the test holds back is not asked about."""


@dataclass(frozen=True, slots=True)
class SimStack:
    """An EMS whose broker, named "sim", is scripted. The desk's account is sim.main."""

    sim: Sim
    ems: InProcess
    desk: Desk


@dataclass(frozen=True, slots=True)
class PaperStack:
    """An EMS whose broker, named "paper", plays a scripted market. The desk's account is paper.main."""

    paper: InProcess
    ems: InProcess
    desk: Desk
    market: ScriptedMarket


@dataclass(frozen=True, slots=True)
class ProcessStack:
    """As PaperStack, each server in a process of its own."""

    paper: Subprocess
    ems: Subprocess
    desk: Desk
    market: ScriptedMarket


@asynccontextmanager
async def sim_stack(
    folder: Path, sim: Sim | None = None, *, answer_seconds: float = ANSWER_SECONDS
) -> AsyncGenerator[SimStack]:
    """An EMS that has found its scripted broker."""
    async with sim or Sim() as broker:
        ems = ems_in_process(folder / "ems", {"sim": broker.address}, answer_seconds=answer_seconds)
        await ems.start()
        desk = Desk(ems.address, account="sim.main")
        try:
            await desk.until_broker()
            yield SimStack(broker, ems, desk)
        finally:
            await desk.close()
            await ems.stop()


@asynccontextmanager
async def paper_stack(folder: Path, **choices: Any) -> AsyncGenerator[PaperStack]:
    """An EMS that has found its paper broker; `choices` are settings of that which are not the default ones."""
    paper = paper_in_process(folder / "paper", **choices)
    await paper.start()
    ems = ems_in_process(folder / "ems", {"paper": paper.address})
    await ems.start()
    desk, market = Desk(ems.address, account="paper.main"), ScriptedMarket(paper.address)
    try:
        await desk.until_broker()
        yield PaperStack(paper, ems, desk, market)
    finally:
        await desk.close()
        await market.close()
        await ems.stop()
        await paper.stop()


@asynccontextmanager
async def process_stack(folder: Path) -> AsyncGenerator[ProcessStack]:
    """The two servers as a user starts them."""
    paper = paper_process(folder)
    ems = ems_process(folder, "PAPER", paper.address)
    desk, market = Desk(ems.address, account="paper.main"), ScriptedMarket(paper.address)
    try:
        await paper.start()
        await ems.start()
        await desk.until_broker()
        yield ProcessStack(paper, ems, desk, market)
    finally:
        await desk.close()
        await market.close()
        await ems.stop()
        await paper.stop()


def ems_in_process(
    data_dir: Path,
    brokers: Mapping[str, str],
    durability: Durability = "flush",
    *,
    answer_seconds: float = ANSWER_SECONDS,
) -> InProcess:
    """An EMS in this process, not started; `brokers` are addresses by name."""

    def serving(bind: str) -> AbstractAsyncContextManager[Listening]:
        sections = {name: BrokerSection(address=address) for name, address in brokers.items()}
        config = EmsConfig(
            bind=bind, data_dir=data_dir, durability=durability, brokers=sections, answer_seconds=answer_seconds
        )
        return ems_service.app.serving(config)

    return InProcess(serving)


def paper_in_process(data_dir: Path, *, symbols: tuple[str, ...] = (), **choices: Any) -> InProcess:
    """A paper broker with a scripted market in this process, not started; `symbols` are the default ones if empty."""

    def serving(bind: str) -> AbstractAsyncContextManager[Listening]:
        settings = PaperSettings(
            bind=bind,
            data_dir=data_dir,
            durability="flush",
            market="script",
            playback=MarketSettings(symbols=symbols),
            **choices,
        )
        return paper_broker.app.serving(settings)

    return InProcess(serving)


def ems_process(folder: Path, broker: str, address: str, **others: str) -> Subprocess:
    """An EMS in a process of its own, not started; `others` are addresses of more brokers by name."""
    named = {broker: address, **others}
    settings = {"DATA_DIR": str(folder / "ems")}
    settings |= {f"BROKERS__{name.upper()}__ADDRESS": at for name, at in named.items()}
    return Subprocess("ems_service", "PITLINE_EMS_", settings, folder / "ems.log")


def paper_process(folder: Path, market: str = "script") -> Subprocess:
    """A paper broker in a process of its own, not started."""
    settings = {"DATA_DIR": str(folder / "paper"), "MARKET": market}
    return Subprocess("paper_broker", "PITLINE_PAPER_", settings, folder / "paper.log")
