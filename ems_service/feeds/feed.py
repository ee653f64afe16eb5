"""Feeds: ONE upstream subscription per instrument, however many consume it.

One `Feed` a broker holds its Quotes stream and opens it again when it is lost. The first consumer of a market opens its
upstream, and when the last has left it is closed after a linger, so that who looks again at once finds it as it was.
Order of work for each tick: watchers (the dark book), then who is subscribed, then everybody else's turn: never more
than a slice of a message before the engine may go on. Invariant: nobody is ever waited for.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from ems_service.feeds.tap import Tap
from ems_service.feeds.topic import Topic, Watcher
from ems_service.limits import (
    CONNECT_SECONDS_MAX,
    CONNECT_SECONDS_MIN,
    FEED_LINGER_SECONDS,
    FEED_LOOK_SECONDS,
    FEED_REQUESTS_BYTES_MAX,
    FEED_SLICE_SECONDS,
    FEED_SLICE_UPDATES,
)
from pitline.broker.v1 import broker_service_pb2 as pb
from pitline.types.v1 import instrument_pb2, market_pb2
from pitline_rpc.batch import frame
from pitline_rpc.channel import connect
from pitline_rpc.outbound import Outbound
from pitline_rpc.status import Refused
from pitline_rpc.wire import stream_stream

_QUOTES = "/pitline.broker.v1.BrokerService/Quotes"

_log = structlog.stdlib.get_logger(__name__)


class Clock(Protocol):
    """EMS time."""

    def now_ns(self) -> int:
        """Now, ns since 1970, UTC; never backwards."""
        ...


class _Upstream:
    """One market that the broker is asked for, and why."""

    __slots__ = ("closing", "topic")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.closing: asyncio.TimerHandle | None = None


class Feed:
    """The market data of the broker known as `name`."""

    def __init__(self, name: str, address: str, clock: Clock) -> None:
        self.name = name
        self.address = address
        self._clock = clock
        self._upstreams: dict[str, _Upstream] = {}
        self._out: Outbound | None = None
        self._wanted = asyncio.Event()
        self._heard = False
        """The broker said something on the stream that is open, or was last."""

    def subscribe(self, symbol: str, tap: Tap) -> None:
        """The consumer gets how the market stands, and every change from now on. The first opens the upstream. Raises
        Refused where no more bars can be built; it is to be unsubscribed all the same.
        """
        topic = self._opened(symbol, tap.wants.depth).topic
        topic.join(tap, self._clock.now_ns())

    def unsubscribe(self, symbol: str, tap: Tap) -> None:
        """No more. After the last one the upstream lingers, then it is closed; after the deepest one, its book is asked
        for as deep as others want it.
        """
        upstream = self._upstreams.get(symbol)
        if upstream is not None:
            upstream.topic.leave(tap)
            self._linger(symbol, upstream)
            if upstream.topic.consumers and upstream.topic.depth_wanted < upstream.topic.depth:
                asyncio.get_running_loop().call_later(FEED_LINGER_SECONDS, self._ask_less, symbol)

    def watch(self, symbol: str, watcher: Watcher) -> None:
        """The watcher sees how the market stands and every change, and keeps the upstream open as consumers do."""
        self._opened(symbol, 0).topic.watch(watcher, self._clock.now_ns())

    def unwatch(self, symbol: str, watcher: Watcher) -> None:
        """No more for the watcher."""
        upstream = self._upstreams[symbol]
        upstream.topic.unwatch(watcher)
        self._linger(symbol, upstream)

    def topics(self) -> Iterator[Topic]:
        """The markets that the broker is asked for now, by symbol."""
        for _, upstream in sorted(self._upstreams.items()):
            yield upstream.topic

    def bars(self, symbol: str, interval_seconds: int) -> list[market_pb2.Bar] | None:
        """Complete bars that were built for consumers so far, oldest first; None: none ever were."""
        upstream = self._upstreams.get(symbol)
        return None if upstream is None else upstream.topic.bars.kept(interval_seconds)

    async def run(self) -> None:
        """Keep the stream open while anybody wants it, until canceled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look())
            tasks.create_task(self._keep_open())

    async def _keep_open(self) -> None:
        pause = CONNECT_SECONDS_MIN
        while True:
            await self._wanted.wait()
            self._heard = False
            try:
                async with connect(self.address) as channel:
                    await self._stream(channel)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, Refused) as error:
                _log.warning("feed_down", broker=self.name, text=str(error))
            for topic in self.topics():
                topic.lose(self._clock.now_ns())
            if self._heard:
                pause = CONNECT_SECONDS_MIN
            await asyncio.sleep(pause)
            pause = min(pause * 2, CONNECT_SECONDS_MAX)
            if not self._upstreams:
                self._wanted.clear()

    async def _stream(self, channel: grpc.aio.Channel) -> None:
        """One connection until its end."""
        call = stream_stream(channel, _QUOTES, pb.QuotesResponse)()
        out = self._out = Outbound(call.write, FEED_REQUESTS_BYTES_MAX)
        for topic in self.topics():
            self._ask(topic)
        try:
            await out.run(self._take_all(call))
        finally:
            self._out = None
            call.cancel()

    async def _take_all(self, call: grpc.aio.StreamStreamCall[Message | bytes, pb.QuotesResponse]) -> None:
        async for response in call:
            self._heard = True
            for symbol in response.refused_symbols:
                _log.warning("symbol_refused", broker=self.name, symbol=symbol)
            updates, taken = response.updates, 0
            while taken < len(updates):
                if taken:
                    await asyncio.sleep(0)  # the engine's turn
                taken += self._take(updates[taken : taken + FEED_SLICE_UPDATES])

    def _take(self, updates: Sequence[market_pb2.MarketUpdate]) -> int:
        """Take updates for as long as nobody has waited for too long; how many."""
        now_s, now_ns = time.monotonic(), self._clock.now_ns()
        moved: dict[Topic, None] = {}
        taken = 0
        for update in updates:
            taken += 1
            upstream = self._upstreams.get(update.key.symbol)
            if upstream is None:
                continue  # nobody wants it any more
            upstream.topic.take(update, now_s, now_ns)
            moved[upstream.topic] = None
            if time.monotonic() - now_s >= FEED_SLICE_SECONDS:
                break
        for topic in moved:
            topic.send()
        return taken

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(FEED_LOOK_SECONDS)
            now_s, now_ns = time.monotonic(), self._clock.now_ns()
            for topic in self.topics():
                topic.look(now_s, now_ns)

    def _opened(self, symbol: str, depth: int) -> _Upstream:
        upstream = self._upstreams.get(symbol)
        if upstream is None:
            topic = Topic(instrument_pb2.InstrumentKey(broker=self.name, symbol=symbol))
            upstream = self._upstreams[symbol] = _Upstream(topic)
            topic.depth = depth
            self._ask(topic)
            self._wanted.set()
        elif depth > upstream.topic.depth:
            upstream.topic.deepen(depth)
            self._ask(upstream.topic)
        if upstream.closing is not None:
            upstream.closing.cancel()
            upstream.closing = None
        return upstream

    def _linger(self, symbol: str, upstream: _Upstream) -> None:
        if not upstream.topic.consumers and upstream.closing is None:
            loop = asyncio.get_running_loop()
            upstream.closing = loop.call_later(FEED_LINGER_SECONDS, self._close, symbol)

    def _close(self, symbol: str) -> None:
        del self._upstreams[symbol]
        self._put(pb.SubscriptionChange(unsubscribe=pb.Unsubscribe(symbol=symbol)))

    def _ask(self, topic: Topic) -> None:
        self._put(pb.SubscriptionChange(subscribe=pb.Subscribe(symbol=topic.key.symbol, depth=topic.depth)))

    def _ask_less(self, symbol: str) -> None:
        upstream = self._upstreams.get(symbol)
        if upstream is not None and upstream.topic.consumers and upstream.topic.lower_depth():
            self._ask(upstream.topic)

    def _put(self, change: pb.SubscriptionChange) -> None:
        if self._out is not None:
            self._out.put(frame(change.SerializeToString()))
