"""By reflection alone: the lines of the README, run as a reader would, against an EMS and paper broker of their own."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.desk import Desk
from support.stack import ems_process, paper_process
from support.waiting import DEADLINE_SECONDS

README = Path(__file__).parents[2] / "README.md"
BUF_CURL = "By hand, with buf curl"
GRPCURL = "The same with grpcurl"
ADDRESS = "127.0.0.1:7410"


@pytest.fixture(scope="module")
def buf_lines() -> list[str]:
    """The commands of the README's section: list, watch, submit, cancel, trade."""
    return commands(BUF_CURL)


async def test_an_order_can_be_listed_watched_submitted_and_canceled_by_hand(
    buf_lines: list[str], tmp_path: Path
) -> None:
    list_methods, watch, submit, cancel, trade = buf_lines
    async with seeded_ems(tmp_path) as address:
        assert "pitline.ems.v1.TradingService/SubmitOrder" in (await output(list_methods, address)).split()

        async with watching(watch, address) as watched:
            assert kinds(await watched.until("snapshotComplete")) == ["opened", "snapshotComplete"]
            submitted = json.loads(await output(submit, address))["order"]
            assert (submitted["clientOrderId"], submitted["state"]["status"]) == ("m-1", "ORDER_STATUS_WORKING")
            canceled = json.loads(await output(cancel, address))["order"]
            assert canceled["state"]["status"] == "ORDER_STATUS_CANCELED"
            told = kinds(await watched.until("orderCanceled"))
            assert told[2:] == ["orderRouted", "orderAcked", "cancelRequested", "orderCanceled"]

        session = kinds(documents(await output(trade, address)))
        assert session == [
            "opened", "snapshotComplete", "orderRouted", "orderAcked", "cancelRequested", "orderCanceled",
        ]  # fmt: skip


def test_the_lines_for_grpcurl_are_the_same_calls(buf_lines: list[str]) -> None:
    # grpcurl itself cannot be had everywhere; its command line differs in where the address stands.
    as_buf = [
        line.replace("grpcurl -plaintext", "buf curl --protocol grpc --http2-prior-knowledge")
        .replace(f"{ADDRESS} pitline", f"http://{ADDRESS}/pitline")
        .replace("-d @ ", "-d @- ")
        for line in commands(GRPCURL)
    ]
    assert as_buf[1:] == buf_lines[1:]
    assert as_buf[0].strip().endswith(f"{ADDRESS} list pitline.ems.v1.TradingService")


def commands(title: str) -> list[str]:
    """The sh blocks under a heading of the README, up to the next heading."""
    section = re.search(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", README.read_text(), re.MULTILINE | re.DOTALL)
    assert section, f"README.md has no section {title!r}"
    return re.findall(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)


@asynccontextmanager
async def seeded_ems(folder: Path) -> AsyncGenerator[str]:
    """An EMS and a paper broker as `pitline up` starts them, with the default market."""
    paper = paper_process(folder, market="seeded")
    ems = ems_process(folder, "PAPER", paper.address)
    desk = Desk(ems.address, account="paper.main")
    try:
        await paper.start()
        await ems.start()
        await desk.until_broker()
        yield ems.address
    finally:
        await desk.close()
        await ems.stop()
        await paper.stop()


class Watched:
    """What a command that runs has printed so far."""

    def __init__(self, printed: asyncio.StreamReader) -> None:
        self._printed = printed
        self._text = ""

    async def until(self, kind: str) -> list[Any]:
        """Everything printed up to the document that holds an event of this kind."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while kind not in kinds(documents(self._text)):
                chunk = await self._printed.read(65536)
                assert chunk, f"ended before {kind}:\n{self._text}"
                self._text += chunk.decode()
        return documents(self._text)


@asynccontextmanager
async def watching(command: str, address: str) -> AsyncGenerator[Watched]:
    """A command that runs until it is interrupted."""
    # exec: so that it is the command itself that is interrupted, and not a shell around it.
    program = await shell(f"exec {command}", address)
    assert program.stdout is not None
    try:
        yield Watched(program.stdout)
    finally:
        program.terminate()
        await program.wait()


async def output(command: str, address: str) -> str:
    """What a command prints until it ends, which must be well."""
    program = await shell(command, address)
    async with asyncio.timeout(2 * DEADLINE_SECONDS):
        printed, _ = await program.communicate()
    assert program.returncode == 0, f"{command}\nended with {program.returncode}: {printed.decode()}"
    return printed.decode()


async def shell(command: str, address: str) -> asyncio.subprocess.Process:
    """Run a command of the README against another address, with the tools of this environment."""
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    assert ADDRESS in command, command
    return await asyncio.create_subprocess_shell(
        command.replace(ADDRESS, address),
        env={**os.environ, "PATH": here},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def documents(text: str) -> list[Any]:
    """The whole JSON documents of a text, one after the other."""
    decoder, found, place = json.JSONDecoder(), list[Any](), 0
    while (place := len(text) - len(text[place:].lstrip())) < len(text):
        try:
            document, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError:
            break  # the rest of it is still to come
        found.append(document)
    return found


def kinds(responses: list[Any]) -> list[str]:
    """The kind of each event, as JSON spells it."""
    header = {"seq", "time", "clientId", "actor", "account", "orderId", "clientOrderId", "commandId", "state"}
    return [(set(event) - header).pop() for response in responses for event in response.get("events", [])]
