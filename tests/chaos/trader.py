"""`python -m chaos.trader`: a client process, killed and started again at any moment. Ends at SIGTERM, logged out.

Each of its clients trades as its `Habits` say until the file `quiet` stands in the folder, writes all of it into its
`Logbook`, and resumes after the last seq in there. With `--raw` the clients are the bare stubs (`raw.py`), else they
are pitline_client.
"""

import argparse
import asyncio
import random
import signal
import sys
import time
from pathlib import Path

import grpc
import uvloop

from chaos.habits import ACCOUNTS, Habits
from chaos.logbook import Logbook, entries
from chaos.raw import RawTrader
from pitline.ems.v1.command_pb2 import Command
from pitline_client import CallRefusedError, Client, OrderHandle, UnreachableError, connect

TICK_SECONDS = 0.1
"""Pause between two batches of commands."""

CATCH_UP_SECONDS_MAX = 1.0
"""Of an absence, how much of the commands that were not given are given afterwards, at once."""

RETRY_SECONDS = 0.2
"""Pause before a stream that did not come about is tried again."""

HEARTBEAT_SECONDS = 1


class Trading:
    """What both kinds of client share: the habits, the log, the pace, and when to fall silent or leave."""

    def __init__(self, client_id: str, folder: Path, per_second: float, stop: asyncio.Event, *, groups: bool) -> None:
        path = folder / f"{client_id}.log"
        self.book = Logbook(path)
        # The name alone would make a killed trader do the same again and again.
        seed = f"{client_id} {path.stat().st_size}"
        account = ACCOUNTS[sum(client_id.encode()) % len(ACCOUNTS)]
        self.habits = Habits(client_id, account, random.Random(seed), groups=groups)
        for entry in entries(path):
            if isinstance(entry, Command):
                self.habits.asked(entry)
            else:
                self.habits.note(entry)
        self.stop = stop
        self._quiet = folder / "quiet"
        self._fell_silent = False
        self._per_second = per_second
        self._due = 0.0
        self._drew_at = time.monotonic()

    def next_commands(self) -> list[Command]:
        """Commands of this tick, in the log already."""
        if self._quiet.exists():
            commands = [] if self._fell_silent else self.habits.last_commands()
            self._fell_silent = True
        else:
            commands = self._drawn()
        self.noted(commands)
        return commands

    def noted(self, commands: list[Command]) -> None:
        """These are about to be given."""
        if commands:
            self.book.asked(commands)
            for command in commands:
                self.habits.asked(command)

    def _drawn(self) -> list[Command]:
        now = time.monotonic()
        self._due += min(now - self._drew_at, CATCH_UP_SECONDS_MAX) * self._per_second
        self._drew_at = now
        commands: list[Command] = []
        while self._due >= 1:
            drawn = self.habits.next_commands()
            for command in drawn:
                self.habits.asked(command)
            commands += drawn
            self._due -= len(drawn)
        return commands


async def trade(address: str, trading: Trading) -> None:
    """One client of pitline_client, until it is to stop."""
    while not trading.stop.is_set():
        client_id, token = trading.habits.client_id, trading.habits.token
        try:
            async with connect(address, client_id, resume=token, heartbeat_seconds=HEARTBEAT_SECONDS) as client:
                taking = asyncio.create_task(_take(client, trading))
                asking = asyncio.create_task(_ask(client, trading))
                await asyncio.wait((taking, asking), return_when=asyncio.FIRST_COMPLETED)
                (taking if taking.done() else asking).result()
            await taking
        except UnreachableError:
            await asyncio.sleep(RETRY_SECONDS)
        except CallRefusedError as error:
            if error.code != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            await asyncio.sleep(RETRY_SECONDS)  # its line was half open when it asked what there is


async def _take(client: Client, trading: Trading) -> None:
    async for event in client.events():
        trading.book.took((event,))
        trading.habits.note(event)


async def _ask(client: Client, trading: Trading) -> None:
    handles: dict[str, OrderHandle] = {}
    again = trading.habits.again()
    trading.noted(again)
    for command in again:
        _give(client, command, handles)
    while not trading.stop.is_set():
        for command in trading.next_commands():
            _give(client, command, handles)
        for handle in [handle for handle in handles.values() if handle.order is not None and handle.order.ended]:
            del handles[handle.client_order_id]
        await asyncio.sleep(TICK_SECONDS)


def _give(client: Client, command: Command, handles: dict[str, OrderHandle]) -> None:
    if command.HasField("submit"):
        handle = client.submit(command.submit.terms, client_order_id=command.submit.client_order_id)
        handles[handle.client_order_id] = handle
        return
    if command.HasField("submit_group"):
        group = command.submit_group
        terms = [submit.terms for submit in group.orders]
        for handle in client.submit_group(group.link, terms, group_id=group.group_id):
            handles[handle.client_order_id] = handle
        return
    change = command.cancel if command.HasField("cancel") else command.modify
    client_order_id = change.order.client_order_id
    try:
        handle = handles.get(client_order_id) or client.order(client_order_id)
    except KeyError:
        return  # of an earlier process, and refused or not answered yet
    handles[client_order_id] = handle
    if command.HasField("cancel"):
        handle.cancel()
    else:
        handle.modify(order_qty=command.modify.order_qty or None, limit_px=command.modify.limit_px or None)


async def main() -> None:
    """Run the clients of this process."""
    parser = argparse.ArgumentParser(prog="chaos.trader")
    parser.add_argument("--ems", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clients", required=True, help="client ids, by comma")
    parser.add_argument("--rate", type=float, required=True, help="commands per client and second")
    parser.add_argument("--raw", action="store_true", help="bare stubs")
    asked = parser.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with asyncio.TaskGroup() as tasks:
        for client_id in asked.clients.split(","):
            trading = Trading(client_id, asked.folder, asked.rate, stop, groups=asked.raw)
            run = RawTrader(asked.ems, trading, TICK_SECONDS).run() if asked.raw else trade(asked.ems, trading)
            tasks.create_task(run)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    sys.exit(0)
