"""What is measured: the floors and the EMS, each between the same kind of load and the same kind of bare broker.

All run at once and are measured in turn; who is not measured waits for input and takes no time. Every process runs
before the first connection is made: gRPC does not like a process that goes on starting others.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.floors.serve import TRADE, call_of
from bench.load import Load
from bench.orders import BROKER, CLIENT_ID, new_order, submit
from bench.programs import BROKER_CORE, SYSTEM_CORE, Program, ProgramError, free_address, running
from pitline.ems.v1.admin_service_pb2 import GetStatusRequest, GetStatusResponse
from pitline.ems.v1.admin_service_pb2_grpc import AdminServiceStub
from pitline.ems.v1.event_pb2 import BROKER_STATE_UP
from pitline_rpc.channel import connect

UNBATCHED = "bare, unbatched"
BATCHED = "bare, batched"
SHAPE = "same shape"
EMS = "EMS, flush"
EMS_FSYNC = "EMS, fsync"

BROKER_LOOKS_MAX = 200
"""How often an EMS is asked, every 100 ms, whether it has found its broker."""


@dataclass(frozen=True, slots=True)
class System:
    """One system under test. `encode` makes an order, by its number, in the form that it takes."""

    name: str
    program: Program
    broker: Program
    load: Load
    encode: Callable[[int], bytes]
    unbatched: bool = False


@asynccontextmanager
async def started(folder: Path) -> AsyncGenerator[list[System]]:
    """All systems, ready for orders; `folder` takes journals and logs. Raises ProgramError."""
    async with AsyncExitStack() as stack:
        broker = await bare_broker(stack, folder)
        broker_unbatched = await floor(stack, folder, "broker", BROKER_CORE, "--unbatched")
        unbatched = await floor(stack, folder, "echo", SYSTEM_CORE, "--broker", broker_unbatched.address, "--unbatched")
        batched = await floor(stack, folder, "echo", SYSTEM_CORE, "--broker", broker.address)
        shape = await floor(stack, folder, "shape", SYSTEM_CORE, "--broker", broker.address)
        flush = await ems(stack, folder, "flush", broker)
        fsync = await ems(stack, folder, "fsync", broker)
        for program in (flush, fsync):
            await until_broker_is_up(program.address)
        yield [
            System(
                UNBATCHED, unbatched, broker_unbatched, await _load(stack, unbatched, unbatched=True), new_order, True
            ),
            System(BATCHED, batched, broker, await _load(stack, batched), new_order),
            System(SHAPE, shape, broker, await opened(stack, shape), submit),
            System(EMS, flush, broker, await opened(stack, flush), submit),
            System(EMS_FSYNC, fsync, broker, await opened(stack, fsync), submit),
        ]


async def floor(stack: AsyncExitStack, folder: Path, name: str, core: int, *arguments: str) -> Program:
    """A program of bench/floors, by its name."""
    address = free_address()
    log = folder / f"{name} {address}.log"
    started = running(f"bench.floors.{name}", address, core, log, ("--bind", address, *arguments))
    return await stack.enter_async_context(started)


async def bare_broker(stack: AsyncExitStack, folder: Path) -> Program:
    """The broker of the batched systems."""
    return await floor(stack, folder, "broker", BROKER_CORE)


async def ems(stack: AsyncExitStack, folder: Path, durability: str, broker: Program) -> Program:
    """An EMS in front of a broker; what it keeps is in the folder of its durability."""
    address = free_address()
    settings = {
        "PITLINE_EMS_BIND": address,
        "PITLINE_EMS_DATA_DIR": str(folder / durability),
        "PITLINE_EMS_DURABILITY": durability,
        f"PITLINE_EMS_BROKERS__{BROKER}__ADDRESS": broker.address,
    }
    started = running("ems_service", address, SYSTEM_CORE, folder / f"ems {durability}.log", settings=settings)
    return await stack.enter_async_context(started)


async def _load(stack: AsyncExitStack, program: Program, *, unbatched: bool = False) -> Load:
    load = Load(await stack.enter_async_context(connect(program.address)), unbatched=unbatched)
    stack.callback(load.close)
    return load


async def opened(stack: AsyncExitStack, program: Program, client_id: str = CLIENT_ID) -> Load:
    """A load that attends."""
    load = await _load(stack, program)
    await load.open(client_id)
    return load


@asynccontextmanager
async def call_of_ems(program: Program) -> AsyncGenerator[Any]:
    """A Trade stream of bytes, not opened."""
    async with connect(program.address) as channel:
        call = call_of(channel, TRADE)
        try:
            yield call
        finally:
            call.cancel()


async def status_of(address: str) -> GetStatusResponse:
    """What an EMS says of itself."""
    async with connect(address) as channel:
        ems = AdminServiceStub(channel)
        return await ems.GetStatus(GetStatusRequest(), wait_for_ready=True, timeout=BROKER_LOOKS_MAX)


async def until_broker_is_up(address: str) -> None:
    """Wait for the EMS at an address to take orders. Raises ProgramError."""
    async with connect(address) as channel:
        ems = AdminServiceStub(channel)
        for _ in range(BROKER_LOOKS_MAX):
            status = await ems.GetStatus(GetStatusRequest(), wait_for_ready=True, timeout=BROKER_LOOKS_MAX)
            if all(broker.state == BROKER_STATE_UP for broker in status.brokers):
                return
            await asyncio.sleep(0.1)
    raise ProgramError(f"the EMS at {address} did not find its broker")
