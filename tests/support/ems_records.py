"""Journal records as tests write them, without a core behind them."""

from ems_service.convert.record import Record
from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.trading_service_pb2 import TradeResponse
from pitline_rpc.batch import frame


def record(
    seq: int,
    owner: str = "alice",
    account: str = "paper.main",
    symbol: str = "X-USD",
    *,
    principal: str = "local",
    text: str = "",
    private: bytes = b"",
) -> Record:
    """An event of an order, or of an account with no `owner`; with `private` one that no client sees."""
    public = b"" if private else frame(Event(seq=seq, command_id=text).SerializeToString())
    kind = 0 if private else 10
    return Record(seq, seq * 1000, kind, seq % 3, account, owner, symbol, principal, "paper", seq + 7, public, private)


def seqs(framed: bytes) -> list[int]:
    """Of events one after another."""
    return [event.seq for event in TradeResponse.FromString(framed).events]
