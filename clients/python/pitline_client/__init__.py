"""The Python client of Pitline: attend, trade by handles, watch; everything reconnects and resumes by itself.

    async with connect("127.0.0.1:7410", "me") as client:
        order = client.buy("BTC-USDT", "0.5", account="paper.main", limit_px="61000", time_in_force=GTC)
        await order.acked()
        order.cancel()
        await order.canceled()
        hidden = client.sell("BTC-USDT", "0.5", account="paper.main", dark="64000", max_slippage="50")
        bell = client.alert("BTC-USDT", at("60000", direction=DOWN), account="paper.main")
        await bell.triggered()
        entry = order_terms(SIDE_BUY, "BTC-USDT", "0.5", account="paper.main", limit_px="61000")
        client.submit_group(BRACKET, bracket(entry, profit_px="62000", stop_px="60500"))
        told = await client.cancel_group(OrderSelection(symbols=["BTC-USDT"])).finished()

`Caller` does what needs no attendance. What this package does not wrap are the contract's own messages, from
`pitline.types.v1` and `pitline.ems.v1`.
"""

from pitline_client.caller import Caller
from pitline_client.client import Client, connect
from pitline_client.errors import (
    AmbiguousSymbolError,
    BacklogError,
    CallRefusedError,
    CancelRejected,
    ChangeRejectedError,
    CommandRefusedError,
    LeftError,
    ModifyRejected,
    NotSentError,
    OrderDenied,
    OrderEndedError,
    OrderRejected,
    PitlineError,
    RefusedError,
    SlowConsumerError,
    SupersededError,
    UnansweredError,
    UnknownSymbolError,
    UnreachableError,
    reason_name,
)
from pitline_client.events import EventStream
from pitline_client.groups import GroupHandle
from pitline_client.intake import ResumeToken
from pitline_client.linked import (
    BASKET,
    BRACKET,
    ONE_CANCELS_OTHER,
    ONE_TRIGGERS_OTHER,
    bracket,
    exits,
    submit_group,
)
from pitline_client.numbers import Number, from_wire, to_wire
from pitline_client.orders import OrderHandle
from pitline_client.terms import (
    ASK,
    BEST,
    BID,
    CANCEL_MINE,
    DARK,
    DAY,
    DOWN,
    FOK,
    GTC,
    GTD,
    IOC,
    KEEP,
    LAST,
    LIVE,
    OWN,
    POST_ONLY,
    REDUCE_ONLY,
    UP,
    OrderOptions,
    a_trail,
    alert_terms,
    at,
    of_accounts,
    order_terms,
    wants_the_moment,
)
from pitline_client.views import OrderView, PositionView, status_name

__all__ = [
    "ASK",
    "BASKET",
    "BEST",
    "BID",
    "BRACKET",
    "CANCEL_MINE",
    "DARK",
    "DAY",
    "DOWN",
    "FOK",
    "GTC",
    "GTD",
    "IOC",
    "KEEP",
    "LAST",
    "LIVE",
    "ONE_CANCELS_OTHER",
    "ONE_TRIGGERS_OTHER",
    "OWN",
    "POST_ONLY",
    "REDUCE_ONLY",
    "UP",
    "AmbiguousSymbolError",
    "BacklogError",
    "CallRefusedError",
    "Caller",
    "CancelRejected",
    "ChangeRejectedError",
    "Client",
    "CommandRefusedError",
    "EventStream",
    "GroupHandle",
    "LeftError",
    "ModifyRejected",
    "NotSentError",
    "Number",
    "OrderDenied",
    "OrderEndedError",
    "OrderHandle",
    "OrderOptions",
    "OrderRejected",
    "OrderView",
    "PitlineError",
    "PositionView",
    "RefusedError",
    "ResumeToken",
    "SlowConsumerError",
    "SupersededError",
    "UnansweredError",
    "UnknownSymbolError",
    "UnreachableError",
    "a_trail",
    "alert_terms",
    "at",
    "bracket",
    "connect",
    "exits",
    "from_wire",
    "of_accounts",
    "order_terms",
    "reason_name",
    "status_name",
    "submit_group",
    "to_wire",
    "wants_the_moment",
]
