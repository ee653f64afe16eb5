"""What QuickFIX's `ordermatch` did, from what it prints of every message: the witness of a run against the FIX adapter.

It takes a ClOrdID that it has seen for a new order, so an order that came twice shows. A report that it sends again, or
only once the line is back, has the ExecID that it always had.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

_MESSAGE = re.compile(r"<[^,]*, [^,]*, outgoing>\n  \((8=FIX[^\n]*)\)")
_REJECTED = "8"


@dataclass(slots=True)
class BookOrder:
    """An order as the book had it, by ClOrdID."""

    accepted: set[str] = field(default_factory=set[str])
    """ExecIDs of its entries; one is right."""
    canceled: bool = False
    fills: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict[str, tuple[Decimal, Decimal]])
    """(quantity, price) by ExecID."""
    leaves_qty: Decimal = Decimal("Infinity")

    @property
    def cum_qty(self) -> Decimal:
        """Filled in all."""
        return sum((qty for qty, _ in self.fills.values()), Decimal(0))


def book_of(log: Path) -> dict[str, BookOrder]:
    """Every order that the book has said anything about."""
    orders: dict[str, BookOrder] = {}
    for found in _MESSAGE.finditer(log.read_text(errors="replace")):
        fields = dict(item.split("=", 1) for item in found[1].split("\x01") if "=" in item)
        if fields.get("35") != "8" or fields["150"] == _REJECTED:
            continue
        order = orders.setdefault(fields["11"], BookOrder())
        order.leaves_qty = min(order.leaves_qty, Decimal(fields["151"]))
        match fields["150"]:
            case "0":
                order.accepted.add(fields["17"])
            case "1" | "2":
                order.fills[fields["17"]] = (Decimal(fields["32"]), Decimal(fields["31"]))
            case "4":
                order.canceled = True
            case _:
                pass
    return orders
