"""The load: one client that keeps a number of orders in flight, and times each until its ack and its fill.

Counts answers by the broker's marks in the bytes and decodes nothing, so that it is no bottleneck. Answers come in the
order of the orders, since everything between here and the broker keeps it: the n-th ack is that of the n-th order.
"""

import asyncio
import gc
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import methodcaller

import grpc.aio

from bench.floors.broker import ACK_MARK, FILL_MARK
from bench.floors.serve import TRADE, call_of
from bench.orders import CLIENT_ID, ID_PATTERN
from pitline.ems.v1 import command_pb2, trading_service_pb2

RUN_SECONDS_MAX = 60.0
"""Time that one run of orders may take; then it has failed."""

_ACK, _FILL = ACK_MARK.encode(), FILL_MARK.encode()


class LoadError(Exception):
    """The system did not answer as it should; says how far it came."""


@dataclass(slots=True)
class Timing:
    """One run: latencies from submit to ack and to fill, ascending, µs; its length; CPU time of the load; bytes of
    answers.
    """

    ack_us: list[float]
    fill_us: list[float]
    seconds: float
    cpu_seconds: float
    answer_bytes: int


class Load:
    """A client on one Trade stream. `unbatched`: every order in a message of its own."""

    def __init__(self, channel: grpc.aio.Channel, *, unbatched: bool) -> None:
        self._call = call_of(channel, TRADE)
        self._unbatched = unbatched

    async def open(self, client_id: str = CLIENT_ID) -> None:
        """Attend as a client, and wait until the snapshot is whole."""
        command = command_pb2.Command(open=command_pb2.Open(client_id=client_id))
        async with asyncio.timeout(RUN_SECONDS_MAX):
            await self._call.write(trading_service_pb2.TradeRequest(commands=[command]).SerializeToString())
            whole = False
            while not whole:
                response = trading_service_pb2.TradeResponse.FromString(await self._read())
                whole = any(event.HasField("snapshot_complete") for event in response.events)

    async def timed(
        self, commands: Sequence[bytes], mark: bytes | Callable[[bytes], int], in_flight: int
    ) -> list[float]:
        """Send the commands (framed), `in_flight` at first and one more for each answer; the times from command
        to answer, ascending, µs. Answers have this mark in them, or are counted in a message. Raises LoadError.
        """
        answers_in = mark if callable(mark) else methodcaller("count", mark)
        sent_ns: list[int] = []
        answered_ns: list[int] = []
        try:
            async with asyncio.timeout(RUN_SECONDS_MAX):
                await self._send(commands[:in_flight], sent_ns)
                while len(answered_ns) < len(commands):
                    answers = answers_in(await self._read())
                    answered_ns += [time.perf_counter_ns()] * answers
                    await self._send(commands[len(sent_ns) : len(sent_ns) + answers], sent_ns)
        except TimeoutError:
            text = f"{len(answered_ns)} of {len(commands)} commands are answered after {RUN_SECONDS_MAX:.0f} s"
            raise LoadError(text) from None
        return _microseconds(sent_ns, answered_ns)

    def close(self) -> None:
        """End the stream."""
        self._call.cancel()

    async def run(self, orders: Sequence[bytes], in_flight: int) -> Timing:
        """Send the orders (framed), `in_flight` at first and one more for each fill, until all are filled. Raises
        LoadError.
        """
        filled_ns: list[int] = []
        gc.collect()
        gc.disable()
        try:
            async with asyncio.timeout(RUN_SECONDS_MAX):
                return await self._run(orders, in_flight, filled_ns)
        except TimeoutError:
            text = f"{len(filled_ns)} of {len(orders)} orders are filled after {RUN_SECONDS_MAX:.0f} s"
            raise LoadError(text) from None
        finally:
            gc.enable()

    async def _run(self, orders: Sequence[bytes], in_flight: int, filled_ns: list[int]) -> Timing:
        sent_ns: list[int] = []
        acked_ns: list[int] = []
        message, answer_bytes = b"", 0
        cpu, began = time.process_time(), time.perf_counter_ns()
        await self._send(orders[:in_flight], sent_ns)
        while len(filled_ns) < len(orders):
            message = await self._read()
            now = time.perf_counter_ns()
            answer_bytes += len(message)
            acked_ns += [now] * message.count(_ACK)
            filled = message.count(_FILL)
            filled_ns += [now] * filled
            await self._send(orders[len(sent_ns) : len(sent_ns) + filled], sent_ns)
        seconds, cpu_seconds = (time.perf_counter_ns() - began) / 1e9, time.process_time() - cpu
        if _id_of(orders[-1]) not in message:
            raise LoadError("the last fill is not that of the last order")
        ack_us, fill_us = _microseconds(sent_ns, acked_ns), _microseconds(sent_ns, filled_ns)
        return Timing(ack_us, fill_us, seconds, cpu_seconds, answer_bytes)

    async def _read(self) -> bytes:
        message = await self._call.read()
        if not isinstance(message, bytes):  # gRPC's mark of the end
            raise LoadError("the system ended the stream")
        return message

    async def _send(self, orders: Sequence[bytes], sent_ns: list[int]) -> None:
        if not orders:
            return
        sent_ns += [time.perf_counter_ns()] * len(orders)
        for message in orders if self._unbatched else (b"".join(orders),):
            await self._call.write(message)


def _id_of(order: bytes) -> bytes:
    found = re.search(ID_PATTERN, order)
    assert found is not None, order
    return found[0]


def _microseconds(sent_ns: list[int], answered_ns: list[int]) -> list[float]:
    return sorted((answered - sent) / 1e3 for sent, answered in zip(sent_ns, answered_ns, strict=True))
