"""What each part has on its disk at the end, read without a line of its code.

The EMS's journal: the public bytes of a group are a TradeResponse. The paper broker's store: its tables. The clients'
logs are `logbook.entries`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pitline.ems.v1.event_pb2 import Event
from pitline.ems.v1.trading_service_pb2 import TradeResponse

WORKING, REJECTED = 1, 4
"""Fates of an order as the paper broker stores them."""


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker has it. Of one that ended it keeps no terms."""

    order_ref: str
    broker_order_id: str
    fate: int
    cum_qty: Decimal
    order_qty: str = ""
    limit_px: str = ""
    what: tuple[str, str, int] = ("", "", 0)
    """Account, symbol, side."""


@dataclass(frozen=True, slots=True)
class BrokerBooks:
    """What the broker has: orders that it took, and positions by (account, symbol)."""

    orders: list[BrokerOrder]
    positions: dict[tuple[str, str], Decimal]


def commits(path: Path) -> Iterator[Sequence[Event]]:
    """The public events of a journal, in order, those of one commit together."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        for (public,) in db.execute("SELECT public FROM record_group ORDER BY last_seq"):
            yield TradeResponse.FromString(public).events


def journaled(path: Path) -> Iterator[Event]:
    """Every public event of a journal, in order."""
    return (event for commit in commits(path) for event in commit)


def broker_books(path: Path) -> BrokerBooks:
    """A paper broker's store. Orders that it rejected are left out: it never took them."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        orders = [
            BrokerOrder(ref, broker_id, WORKING, Decimal(cum_qty), order_qty, limit_px or "", tuple(what))
            for ref, broker_id, cum_qty, order_qty, limit_px, *what in db.execute(
                "SELECT order_ref, broker_order_id, cum_qty, order_qty, limit_px, account, symbol, side"
                " FROM open_orders"
            )
        ]
        orders += [
            BrokerOrder(ref, broker_id, fate, Decimal(cum_qty))
            for ref, broker_id, fate, cum_qty in db.execute(
                "SELECT order_ref, broker_order_id, fate, cum_qty FROM ended_orders WHERE fate != ?", (REJECTED,)
            )
        ]
        positions = {
            (account, symbol): Decimal(signed_qty)
            for account, symbol, signed_qty in db.execute("SELECT account, symbol, signed_qty FROM positions")
        }
    return BrokerBooks(orders, positions)
