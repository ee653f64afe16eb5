"""ListBars of the paper broker: a page of its history. Called by the servicer, for a symbol that is listed."""

from collections.abc import Mapping
from itertools import islice

from paper_broker.convert import market
from paper_broker.core.instruments import Listing
from paper_broker.history import SECOND_NS, History
from paper_broker.limits import BAR_SECONDS_MAX, BARS_PAGE_DEFAULT, BARS_PAGE_MAX
from pitline.broker.v1.broker_service_pb2 import ListBarsRequest, ListBarsResponse
from pitline_broker.checks import invalid, shown, time_ns

_TOKEN_LENGTH_MAX = 20  # digits of ns since 1970


def page(
    request: ListBarsRequest, history: History, listings: Mapping[str, Listing], market_now_ns: int
) -> ListBarsResponse:
    """Bars that are over by now, oldest first; the token is the start of the next one. Raises Refused."""
    listing = listings[request.symbol]
    if not 1 <= request.interval_seconds <= BAR_SECONDS_MAX:
        text = f"{request.interval_seconds} is not 1 to {BAR_SECONDS_MAX}"
        raise invalid("OUT_OF_RANGE", "interval_seconds", text)
    if request.page_size > BARS_PAGE_MAX:
        raise invalid("OUT_OF_RANGE", "page_size", f"{request.page_size} is above {BARS_PAGE_MAX}")
    token = request.page_token
    if token and not (token.isascii() and token.isdecimal() and len(token) <= _TOKEN_LENGTH_MAX):
        raise invalid("MALFORMED", "page_token", f"{shown(token)} is none that this server gave")
    size, interval_ns = request.page_size or BARS_PAGE_DEFAULT, request.interval_seconds * SECOND_NS
    start_ns = time_ns(request.start_time, "start_time") if request.HasField("start_time") else 0
    end_ns = market_now_ns
    if request.HasField("end_time"):
        # A bar that begins before the end is told, though it ends after it.
        end_ns = min(end_ns, time_ns(request.end_time, "end_time") + interval_ns - 1)
    start_ns = int(token) if token else start_ns
    found = list(islice(history.bars(listing.symbol, interval_ns, start_ns, end_ns), size + 1))
    token = str(found[size].start_ns) if len(found) > size else ""
    bars = [market.bar(each, request.interval_seconds, listing) for each in found[:size]]
    return ListBarsResponse(bars=bars, next_page_token=token)
