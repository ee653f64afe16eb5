"""The Trade stream of one client: commands in, in order, and its events out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import grpc.aio

from ems_service.convert import command, report
from ems_service.convert.checks import an_id_or_none, malformed
from ems_service.convert.event import answer
from ems_service.convert.group import cancel_group
from ems_service.convert.submit_group import submit_group
from ems_service.core.events import Decision, Event, GroupStatus, OrderEvent, Standing
from ems_service.core.inputs import Cancel, CancelGroup, Cause, Modify, OnLoss, Submit, SubmitGroup
from ems_service.dark_feed import DarkFeed
from ems_service.engine import Engine
from ems_service.limits import (
    CLIENT_COMMANDS_WAITING_MAX,
    CLIENT_TICKS_PER_HEARTBEAT,
    COMMAND_ID_LENGTH_MAX,
    COMMANDS_PER_MESSAGE_MAX,
    HEARTBEATS_MISSED_MAX,
    OPEN_SECONDS_MAX,
)
from ems_service.publisher import Publisher
from ems_service.servicers.budget import throttled
from ems_service.servicers.departures import Departures
from ems_service.servicers.event_stream import EventStream
from ems_service.servicers.opening import begin, check
from ems_service.servicers.streams import Streams
from ems_service.servicers.subscription import Opening, opening_of
from pitline.ems.v1 import command_pb2, trading_service_pb2
from pitline.types.v1 import order_pb2, reason_pb2
from pitline_rpc.batch import frame
from pitline_rpc.status import Refused


class Trade:
    """One call of Trade."""

    def __init__(
        self,
        requests: AsyncIterator[trading_service_pb2.TradeRequest],
        context: grpc.aio.ServicerContext[Any, Any],
        engine: Engine,
        publisher: Publisher,
        streams: Streams,
        departures: Departures,
        dark_feed: DarkFeed,
        principal: str,
    ) -> None:
        self._requests = requests
        self._write = context.write
        self._engine = engine
        self._publisher = publisher
        self._streams = streams
        self._departures = departures
        self._dark_feed = dark_feed
        self._principal = principal
        self._client_id = ""
        self._waiting = 0
        """Commands that wait for the engine."""
        self._silent_ticks: int | None = None
        """Since the client said something; None while that waits here."""

    async def run(self) -> None:
        """Until logout, or the end that the stream is given. Half-close is none: events keep coming."""
        opening, rest = await self._opened()
        self._client_id = opening.view.client_id
        stream = EventStream(opening.view, self._write, self._publisher, self._engine.clock)
        attendant = (self._principal, self._client_id)
        self._departures.returned(attendant)
        wish = OnLoss(Cause(*attendant), opening.cancel_after_seconds, opening.cancel_includes_dark)
        self._engine.put(wish)  # stored before `opened` leaves
        try:
            await self._attend(opening, rest, stream)
        finally:
            if opening.cancel_after_seconds is not None and not stream.ended_on_purpose:
                self._departures.lost(attendant, opening.cancel_after_seconds)

    async def _attend(self, opening: Opening, rest: list[command_pb2.Command], stream: EventStream) -> None:
        with self._streams.attending((self._principal, self._client_id), stream):
            await begin(stream, opening.token, self._engine, self._publisher)
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(rest, stream))
                watching = tasks.create_task(self._watch_silence(reading, stream, opening.heartbeat_seconds))
                try:
                    await stream.run(opening.heartbeat_seconds)
                finally:
                    reading.cancel()
                    watching.cancel()

    async def _opened(self) -> tuple[Opening, list[command_pb2.Command]]:
        """What the client asks for, and the commands that came with it. A malformed open is refused and may come
        again, in the time that there is for one.
        """
        until = asyncio.get_running_loop().time() + OPEN_SECONDS_MAX
        while (request := await self._before(until)) is not None:
            commands = _commands(request)
            if not commands:
                continue
            if commands[0].WhichOneof("kind") != "open":
                text = f"the first command is {commands[0].WhichOneof('kind') or 'empty'}, not open"
                raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text, field="commands[0]")
            try:
                an_id_or_none(commands[0].command_id, "command_id")
                opening = opening_of(commands[0].open, self._principal)
                await check(opening.view, "open.", self._engine)
                return opening, commands[1:]
            except Refused as refused:
                await self._write(self._refusal(commands[0], refused))
        text = "the requests ended before an open"
        raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text)

    async def _before(self, until: float) -> trading_service_pb2.TradeRequest | None:
        """The next request, None after the last. Raises Refused at `until`, seconds of the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                return await anext(self._requests, None)
        except TimeoutError:
            text = f"no open within {OPEN_SECONDS_MAX:g} s"
            raise Refused(grpc.StatusCode.UNAVAILABLE, "HEARTBEAT_MISSED", text) from None

    async def _read(self, commands: list[command_pb2.Command], stream: EventStream) -> None:
        """Until half-close."""
        await self._take_all(commands, stream)
        self._silent_ticks = 0
        async for request in self._requests:
            self._silent_ticks = None
            await self._engine.room()
            await self._take_all(_commands(request), stream)
            self._silent_ticks = 0

    async def _watch_silence(self, reading: asyncio.Task[None], stream: EventStream, heartbeat_seconds: int) -> None:
        """End the stream of a client that owes heartbeats, as one does that asked for some, and is silent for too long;
        after half-close nothing is owed. By ticks, so that a time in which this process itself stood still counts as
        one, and no time in which what the client said waits here.
        """
        ticks_max = HEARTBEATS_MISSED_MAX * CLIENT_TICKS_PER_HEARTBEAT
        while heartbeat_seconds:
            await asyncio.sleep(heartbeat_seconds / CLIENT_TICKS_PER_HEARTBEAT)
            if reading.done():
                return
            if self._silent_ticks is None:
                continue
            self._silent_ticks += 1
            if self._silent_ticks > ticks_max:
                text = f"no sign of life for {heartbeat_seconds * HEARTBEATS_MISSED_MAX} s"
                stream.end(grpc.StatusCode.UNAVAILABLE, reason_pb2.REASON_HEARTBEAT_MISSED, text)
                return

    async def _take_all(self, commands: list[command_pb2.Command], stream: EventStream) -> None:
        expected = False
        for place, message in enumerate(commands):
            try:
                dark = self._take(message, stream)
            except Refused as refused:
                stream.put(self._refusal(message, refused))
                continue
            if dark is not None:
                if not expected:
                    self._expect(commands[place + 1 :])
                    expected = True
                await self._dark_feed.first_prices(dark)
                self._ask(dark, stream)

    def _expect(self, commands: list[command_pb2.Command]) -> None:
        """Begin the waits for first prices of all these together, so that what comes last in a message waits once. What
        is malformed is refused in its turn.
        """
        for message in commands:
            with suppress(Refused):
                match message.WhichOneof("kind"):
                    case "submit" if _may_wait(message.submit.terms):
                        self._dark_feed.expect(command.submit(message.submit, Cause()))
                    case "submit_group":
                        self._dark_feed.expect(submit_group(message.submit_group, Cause()))
                    case _:
                        pass

    def _ask(self, given: Submit | SubmitGroup | Cancel | Modify | CancelGroup, stream: EventStream) -> None:
        self._waiting += 1
        self._engine.put(given, lambda decision: self._answer(decision, stream))

    def _take(self, message: command_pb2.Command, stream: EventStream) -> Submit | SubmitGroup | None:
        """Put what a command says into the engine; what may have to wait for a price, a dark order, a stop, one
        with route BEST or a group, is returned instead.
        """
        cause = Cause(self._principal, self._client_id, an_id_or_none(message.command_id, "command_id"))
        kind = message.WhichOneof("kind")
        match kind:
            case "submit" | "submit_group" | "modify" if self._waiting >= CLIENT_COMMANDS_WAITING_MAX:
                raise throttled(kind, "of this stream")
            case "submit":
                given = command.submit(message.submit, cause)
                terms = given.terms
                if terms.condition is not None or terms.is_stop or terms.routes_best:
                    return given
                self._ask(given, stream)
            case "submit_group":
                return submit_group(message.submit_group, cause)
            case "cancel":
                self._ask(command.cancel(message.cancel, cause), stream)
            case "modify":
                self._ask(command.modify(message.modify, cause), stream)
            case "cancel_group":
                self._ask(cancel_group(message.cancel_group, cause), stream)
            case "ack_seq" | "heartbeat":
                pass
            case "logout":
                left = OnLoss(Cause(self._principal, self._client_id), None)
                self._engine.put(left, lambda _decision: self._logged_out(stream))
            case "open":
                raise malformed(reason_pb2.REASON_OUT_OF_SEQUENCE, "open", f"this stream is open as {self._client_id}")
            case None:
                raise malformed(reason_pb2.REASON_REQUIRED, "kind", "a command needs one arm that this server knows")
        return None

    def _logged_out(self, stream: EventStream) -> None:
        """What came before the logout is committed, and published with the rest of its group: the stream ends after
        that.
        """
        end = partial(stream.end, None, reason_pb2.REASON_UNSPECIFIED, "")
        asyncio.get_running_loop().call_soon(end)

    def _refusal(self, message: command_pb2.Command, refused: Refused) -> bytes:
        reason = reason_pb2.Reason.Value(f"REASON_{refused.reason}")
        command_id = message.command_id[:COMMAND_ID_LENGTH_MAX]  # it may be what is malformed
        now_ns = self._engine.clock.now_ns()
        return report.refused(reason, refused.field, refused.text, command_id, now_ns, refused.retry_seconds)

    def _answer(self, decision: Decision, stream: EventStream) -> None:
        self._waiting -= 1
        together = any(isinstance(item, GroupStatus) for item in decision)  # which says enough of others' orders
        for item in decision:
            if not isinstance(item, Event):
                stream.put(frame(answer(item, self._engine.clock.now_ns())))
            elif isinstance(item, OrderEvent) and not together and item.order.client_id != self._client_id:
                # Who acts on another's order is told how it stands: its events go to its owner.
                stream.put(frame(answer(Standing(item.cause, item.order), self._engine.clock.now_ns())))


def _may_wait(terms: order_pb2.OrderTerms) -> bool:
    """By what the wire says, which spares reading all orders twice: a dark order, a stop, or one with route BEST."""
    plain = terms.ord_type in (order_pb2.ORD_TYPE_LIMIT, order_pb2.ORD_TYPE_MARKET)
    return not plain or terms.HasField("trigger") or bool(terms.route)


def _commands(request: trading_service_pb2.TradeRequest) -> list[command_pb2.Command]:
    if len(request.commands) > COMMANDS_PER_MESSAGE_MAX:
        text = f"{len(request.commands)} commands in one message, more than {COMMANDS_PER_MESSAGE_MAX}"
        raise malformed(reason_pb2.REASON_TOO_LARGE, "commands", text)
    return list(request.commands)
