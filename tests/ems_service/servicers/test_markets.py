"""What Quotes refuses before anything is subscribed to, and what a request for many markets costs."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from ems_service.broker_link import BrokerLink
from ems_service.feeds.feed import Feed
from ems_service.feeds.tap import QuoteStream, Tap, Wants
from ems_service.limits import BAR_LENGTHS_BUILT_MAX, BAR_LENGTHS_MAX, BAR_LENGTHS_REQUEST_MAX
from ems_service.servicers.markets import Markets
from pitline.ems.v1.market_data_service_pb2 import QuotesRequest, Subscription
from pitline.types.v1.instrument_pb2 import Instrument, InstrumentKey
from pitline_rpc.status import Refused


class Listed(dict[str, Instrument]):
    """Instruments that nobody may look through for one of them."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("looked through all instruments")

    values = items = keys = __iter__  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]


class Clock:
    """Stands."""

    def now_ns(self) -> int:
        return 0


class Call:
    """A call whose caller takes one message and leaves."""

    async def write(self, message: bytes) -> None:
        raise Left


class Left(Exception):
    """The caller has."""


def markets(*symbols: str) -> tuple[Markets, Feed]:
    link = BrokerLink("sim", "127.0.0.1:1", cast(Any, None), cast(Any, None))
    link.instruments = Listed({symbol: Instrument(key=key(symbol)) for symbol in symbols})
    feed = Feed("sim", "127.0.0.1:1", Clock())
    return Markets({"sim": link}, {"sim": feed}), feed


def key(symbol: str) -> InstrumentKey:
    return InstrumentKey(broker="sim", symbol=symbol)


async def asked(service: Markets, *subscriptions: Subscription) -> None:
    """Raises Left for a request that was taken."""
    await service.Quotes(QuotesRequest(subscriptions=subscriptions), cast(Any, Call()))


async def test_each_market_is_found_without_looking_through_all() -> None:
    service, feed = markets("X-USD", "Y-USD")
    with pytest.raises(Left):
        await asked(service, Subscription(key=key("X-USD")), Subscription(key=key("Y-USD")))
    assert [topic.key.symbol for topic in feed.topics()] == ["X-USD", "Y-USD"]
    with pytest.raises(Refused, match="NO-SUCH is not known at sim"):
        await asked(service, Subscription(key=key("NO-SUCH")))


async def test_market_that_is_asked_for_twice_is_refused() -> None:
    service, feed = markets("X-USD", "Y-USD")
    twice = [Subscription(key=key(symbol)) for symbol in ("X-USD", "Y-USD", "X-USD")]
    with pytest.raises(Refused, match=r"subscriptions\[2\].key is sim:X-USD, as in subscriptions\[0\]") as refusal:
        await asked(service, *twice)
    assert refusal.value.field == "subscriptions[2].key"
    assert list(feed.topics()) == []


async def test_lengths_of_bars_are_bounded_in_the_whole_request() -> None:
    lengths = range(1, BAR_LENGTHS_MAX + 1)
    number = BAR_LENGTHS_REQUEST_MAX // BAR_LENGTHS_MAX
    symbols = [f"S{index}-USD" for index in range(number + 1)]
    service, feed = markets(*symbols)
    wanted = [Subscription(key=key(symbol), bar_interval_seconds=lengths) for symbol in symbols]
    with pytest.raises(Refused, match=f"ask for {(number + 1) * BAR_LENGTHS_MAX} lengths of bars together") as refusal:
        await asked(service, *wanted)
    assert refusal.value.field == "subscriptions"
    assert list(feed.topics()) == []
    with pytest.raises(Left):
        await asked(service, *wanted[:-1])


async def test_lengths_that_cannot_be_built_are_refused_and_nothing_of_the_request_stays() -> None:
    service, feed = markets("X-USD", "Y-USD")
    taken = Wants(bars=frozenset(range(1, BAR_LENGTHS_BUILT_MAX + 1)))
    feed.subscribe("Y-USD", Tap(QuoteStream(Call().write), taken))
    wanted = [Subscription(key=key(symbol), bar_interval_seconds=[3_600]) for symbol in ("X-USD", "Y-USD")]
    with pytest.raises(Refused, match="lengths that are built of a market") as refusal:
        await asked(service, *wanted)
    assert refusal.value.field == "subscriptions[1].bar_interval_seconds"
    assert [topic.consumers for topic in feed.topics()] == [0, 1]
