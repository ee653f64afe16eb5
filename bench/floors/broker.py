"""The bare broker behind every system that is measured: each order is acknowledged and filled, in canned bytes. One
that is good till canceled rests instead, and is canceled when asked.

It serves as much of pitline.broker.v1 as an EMS needs to trade: hello and a recovery of nothing, ListInstruments,
orders, and the quotes of a market (`market.py`). The floors say no hello and send orders at once. What it says of an
order carries a mark in a text that an EMS passes on (broker_order_id, exec_id), so that the load counts answers without
decoding them.
"""

import sys
from collections.abc import AsyncIterator
from functools import cache

from google.protobuf.timestamp_pb2 import Timestamp

from bench.floors import canned
from bench.floors.market import GO, QUOTES, SYMBOLS, go, quotes
from bench.floors.serve import TRADES, Context, arguments, serve
from bench.orders import CURRENCY, LOCAL_ACCOUNT, SYMBOL
from pitline.broker.v1 import broker_service_pb2, capabilities_pb2, event_pb2
from pitline.types.v1 import account_pb2, execution_pb2, instrument_pb2, money_pb2, order_pb2
from pitline_rpc.batch import frame

ACK_MARK = "bench-ack-"
FILL_MARK = "bench-fill-"
CANCEL_MARK = "bench-cancel-"
"""What stands before the order_ref in broker_order_id, in exec_id and in the text of a cancel."""

FEE = money_pb2.Money(amount="0.05", currency=CURRENCY)
TIME = Timestamp(seconds=1_700_000_000, nanos=123_456_789)

_INSTRUMENTS = "/pitline.broker.v1.BrokerService/ListInstruments"


async def _instruments(_: bytes, context: Context) -> bytes:
    instruments = [
        instrument_pb2.Instrument(
            key=instrument_pb2.InstrumentKey(symbol=symbol),
            broker_symbol=symbol,
            base=symbol.partition("-")[0],
            quote_currency=CURRENCY,
            ticks=[instrument_pb2.TickBand(from_px="0", tick_size="0.01")],
            lot_size="0.001",
        )
        for symbol in SYMBOLS
    ]
    return broker_service_pb2.ListInstrumentsResponse(instruments=instruments).SerializeToString()


def _greeting() -> bytes:
    """The answer to hello, and a recovery of nothing."""
    ack = event_pb2.HelloAck(
        store_id="BENCH",
        environment=account_pb2.ENVIRONMENT_PAPER,
        build="bench",
        accounts=[account_pb2.Account(account=LOCAL_ACCOUNT, base_currency=CURRENCY)],
        capabilities=capabilities_pb2.Capabilities(
            ord_types=[order_pb2.ORD_TYPE_LIMIT],
            times_in_force=[order_pb2.TIME_IN_FORCE_DAY, order_pb2.TIME_IN_FORCE_GTC],
        ),
    )
    events = [event_pb2.BrokerEvent(hello_ack=ack), event_pb2.BrokerEvent(recover_end=event_pb2.RecoverEnd())]
    return broker_service_pb2.TradesResponse(events=events).SerializeToString()


@cache
def _answers(side: order_pb2.Side.ValueType, ref_length: int, price_length: int) -> tuple[bytes, bytes]:
    """Framed patterns of an ack (seq, ref, ref) and of a fill of 1 (seq, ref, ref, price)."""
    ref, price = "~" * ref_length, "^" * price_length
    ack = event_pb2.BrokerEvent(
        broker_seq=canned.SEQ_FILLER,
        time=TIME,
        receive_time=TIME,
        ack=event_pb2.Ack(order_ref=ref, broker_order_id=ACK_MARK + ref),
    )
    execution = execution_pb2.Fill(
        exec_id=FILL_MARK + ref,
        signed_qty="1" if side == order_pb2.SIDE_BUY else "-1",
        price=price,
        fee=FEE,
        liquidity=execution_pb2.LIQUIDITY_TAKER,
        market_time=TIME,
    )
    fill = event_pb2.BrokerEvent(
        broker_seq=canned.SEQ_FILLER,
        time=TIME,
        receive_time=TIME,
        fill=event_pb2.OrderFill(order_ref=ref, account=LOCAL_ACCOUNT, symbol=SYMBOL, fill=execution),
    )
    fillers = (ref, price)
    return (
        canned.pattern(frame(ack.SerializeToString()), fillers),
        canned.pattern(frame(fill.SerializeToString()), fillers),
    )


@cache
def _canceled(ref_length: int, request_length: int) -> bytes:
    """A framed pattern of the answer to a cancel (seq, ref, request, ref)."""
    ref, request = "~" * ref_length, "^" * request_length
    canceled = event_pb2.Canceled(order_ref=ref, request_ref=request, text=CANCEL_MARK + ref)
    event = event_pb2.BrokerEvent(broker_seq=canned.SEQ_FILLER, time=TIME, receive_time=TIME, canceled=canceled)
    return canned.pattern(frame(event.SerializeToString()), (ref, request))


def main() -> int:
    """Serve until SIGTERM."""
    asked = arguments("broker", forwards=False)

    async def trades(requests: AsyncIterator[bytes], context: Context) -> None:
        """Acknowledge every order that comes in, and fill it at its limit unless it is to rest; cancel what rests."""
        seq = canned.seqs()
        async for message in requests:
            answers: list[bytes] = []
            for request in broker_service_pb2.TradesRequest.FromString(message).requests:
                order = request.order
                ref, price = order.order_ref.encode(), order.limit_px.encode()
                if ref:
                    ack, fill = _answers(order.side, len(ref), len(price))
                    answers.append(ack % (next(seq), ref, ref))
                    if order.time_in_force != order_pb2.TIME_IN_FORCE_GTC:
                        answers.append(fill % (next(seq), ref, ref, price))
                elif request.HasField("cancel"):
                    ref, asked_as = request.cancel.order_ref.encode(), request.cancel.request_ref.encode()
                    answers.append(_canceled(len(ref), len(asked_as)) % (next(seq), ref, asked_as, ref))
                elif request.HasField("hello"):
                    answers.append(_greeting())
            for answer in answers if asked.unbatched else (b"".join(answers),):
                await context.write(answer)

    return serve(asked.bind, {TRADES: trades, QUOTES: quotes}, {_INSTRUMENTS: _instruments, GO: go})


if __name__ == "__main__":
    sys.exit(main())
