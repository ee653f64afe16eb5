"""The same-shape floor: what an EMS's client and broker see, with nothing behind it.

For each submit it sends order_routed, order_acked, order_filled and position_changed (once per message, as an EMS does
per commit), in canned bytes as long as an EMS's and in the same envelopes, and one order to the broker. No decoding, no
rules, no journal: what an EMS costs beyond this is its own.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator

from bench.floors import canned
from bench.floors.broker import ACK_MARK, FEE, FILL_MARK, TIME
from bench.floors.serve import QUEUED_BYTES_MAX, TRADE, TRADES, Context, arguments, call_of, never_full, serve
from bench.orders import ACCOUNT, CLIENT_ID, CURRENCY, ID_PATTERN, SYMBOL, new_order, order_id, terms
from pitline.ems.v1 import event_pb2
from pitline.types.v1 import execution_pb2, money_pb2, order_pb2, position_pb2
from pitline_rpc.batch import BatchWriter, frame, uint64_field
from pitline_rpc.channel import connect

_HEAD_SEQ_FIELD = 2

_ID = order_id(0)
_SUBMITS = re.compile(ID_PATTERN)
_ACKS = re.compile(ACK_MARK.encode() + b"(" + ID_PATTERN + b")")
_FILLS = re.compile(FILL_MARK.encode() + b"(" + ID_PATTERN + b")")


def _of_order(change: event_pb2.Event) -> bytes:
    """A framed pattern of an order's event: seq, id, and what the change repeats of the id."""
    event = event_pb2.Event(
        seq=canned.SEQ_FILLER,
        time=TIME,
        client_id=CLIENT_ID,
        account=ACCOUNT,
        order_id="JOURNAL1-10000",
        client_order_id=_ID,
        state=order_pb2.OrderState(status=order_pb2.ORDER_STATUS_WORKING, order_qty="1", cum_qty="0", leaves_qty="1"),
    )
    event.MergeFrom(change)
    return canned.pattern(frame(event.SerializeToString()), (_ID,))


_FILL = execution_pb2.Fill(
    exec_id=FILL_MARK + _ID,
    signed_qty="-1",
    price="100.00",
    fee=FEE,
    liquidity=execution_pb2.LIQUIDITY_TAKER,
    market_time=TIME,
)
_POSITION = position_pb2.Position(
    account=ACCOUNT,
    symbol=SYMBOL,
    signed_qty="1",
    avg_px="100.1234",
    break_even_px="100.2234",
    realized_pnl=money_pb2.Money(amount="1234.56", currency=CURRENCY),
    open_fees=money_pb2.Money(amount="0.05", currency=CURRENCY),
    fees=[money_pb2.Money(amount="1234.56", currency=CURRENCY)],
    update_time=TIME,
)
_ROUTED = _of_order(event_pb2.Event(actor=CLIENT_ID, order_routed=event_pb2.OrderRouted(terms=terms(0))))
_ACKED = _of_order(
    event_pb2.Event(
        order_acked=event_pb2.OrderAcked(broker_order_id=ACK_MARK + _ID, broker_time=TIME, receive_time=TIME)
    )
)
_FILLED = _of_order(
    event_pb2.Event(
        state=order_pb2.OrderState(avg_px="100.00"),
        order_filled=event_pb2.OrderFilled(fill=_FILL, symbol=SYMBOL, receive_time=TIME),
    )
)
_MOVED = canned.pattern(
    frame(
        event_pb2.Event(
            seq=canned.SEQ_FILLER,
            time=TIME,
            account=ACCOUNT,
            position_changed=event_pb2.PositionChanged(position=_POSITION),
        ).SerializeToString()
    )
)
_NEW_ORDER = canned.pattern(new_order(0), (_ID,))
_OPENED = frame(event_pb2.Event(opened=event_pb2.Opened()).SerializeToString()) + frame(
    event_pb2.Event(snapshot_complete=event_pb2.SnapshotComplete()).SerializeToString()
)


def main() -> int:
    """Serve until SIGTERM."""
    asked = arguments("shape", forwards=True)

    async def trade(requests: AsyncIterator[bytes], context: Context) -> None:
        seq = canned.seqs()
        head = uint64_field(_HEAD_SEQ_FIELD, canned.SEQ_FILLER)
        async with connect(asked.broker) as channel, asyncio.TaskGroup() as tasks:
            call = call_of(channel, TRADES)
            orders = BatchWriter(call.write, QUEUED_BYTES_MAX, never_full)
            events = BatchWriter(context.write, QUEUED_BYTES_MAX, never_full, lambda: head)

            async def submits() -> None:
                async for message in requests:
                    ids: list[bytes] = _SUBMITS.findall(message)
                    if ids:
                        events.put(b"".join([_ROUTED % (next(seq), order) for order in ids]))
                        orders.put(b"".join([_NEW_ORDER % order for order in ids]))
                    else:
                        events.put(_OPENED)  # the one command that names no order is open

            async def answers() -> None:
                async for message in call:
                    acked = [_ACKED % (next(seq), order, order) for order in _ACKS.findall(message)]
                    filled = [_FILLED % (next(seq), order, order) for order in _FILLS.findall(message)]
                    events.put(b"".join((*acked, *filled, _MOVED % next(seq))))

            for road in (submits(), answers(), orders.run(), events.run()):
                tasks.create_task(road)

    return serve(asked.bind, {TRADE: trade})


if __name__ == "__main__":
    sys.exit(main())
