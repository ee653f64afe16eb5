"""The hand on the market of a paper broker whose market is a script."""

from pitline.paper.v1.script_service_pb2 import StepRequest
from pitline.paper.v1.script_service_pb2_grpc import ScriptServiceStub
from pitline.types.v1.instrument_pb2 import InstrumentKey
from pitline.types.v1.market_pb2 import MarketUpdate, Quote, Trade
from pitline_rpc.channel import connect
from support.waiting import DEADLINE_SECONDS


class ScriptedMarket:
    """Each step returns when the paper broker has done everything that follows from it, with the broker's head."""

    def __init__(self, address: str) -> None:
        self._channel = connect(address)
        self._script = ScriptServiceStub(self._channel)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def quote(
        self, symbol: str, *, bid: str = "", ask: str = "", bid_qty: str = "1000", ask_qty: str = "1000"
    ) -> int:
        """The market quotes this; a side that is not given is empty."""
        quote = Quote(bid_px=bid, bid_qty=bid_qty if bid else "", ask_px=ask, ask_qty=ask_qty if ask else "")
        return await self._step(MarketUpdate(key=InstrumentKey(symbol=symbol), quote=quote))

    async def trade(self, symbol: str, px: str, qty: str = "1") -> int:
        """The market trades."""
        return await self._step(MarketUpdate(key=InstrumentKey(symbol=symbol), trade=Trade(price=px, qty=qty)))

    async def reaches(self, time_ns: int, symbol: str = "X-USD") -> int:
        """The market's time is this, ns since 1970, later than now; nobody quotes then."""
        update = MarketUpdate(key=InstrumentKey(symbol=symbol), quote=Quote())
        update.market_time.FromNanoseconds(time_ns)
        return await self._step(update)

    async def _step(self, update: MarketUpdate) -> int:
        response = await self._script.Step(StepRequest(updates=[update]), wait_for_ready=True, timeout=DEADLINE_SECONDS)
        return response.head_broker_seq
