"""Venues that are known by name, and the one that others begin with. Chosen and changed in the settings."""

from collections.abc import Mapping
from typing import Final

from broker_adapters.fix.core.profile import Dialect, Profile
from broker_adapters.fix.core.values import ExecInst, OrdType, TimeInForce

PROFILES: Final[Mapping[str, Profile]] = {
    # QuickFIX's example with a price-time book: a limit order for the day and its cancel, nothing else.
    "ordermatch": Profile(
        dialect=Dialect.FIX_4_2,
        ord_types=frozenset((OrdType.LIMIT,)),
        times_in_force=frozenset((TimeInForce.DAY,)),
        exec_insts=frozenset(),
        modify=False,
        order_status=False,
        mass_status=False,
        positions=False,
        market_data=False,
        order_fields={},
    ),
    # QuickFIX's example that fills every limit order at once, whatever its time in force.
    "executor": Profile(
        dialect=Dialect.FIX_4_4,
        ord_types=frozenset((OrdType.LIMIT,)),
        times_in_force=frozenset((TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)),
        exec_insts=frozenset(),
        modify=False,
        order_status=False,
        mass_status=False,
        positions=False,
        market_data=False,
        order_fields={},
    ),
    # What most brokers take. What few answer (mass status, positions, market data) is switched on in the settings.
    "generic": Profile(
        dialect=Dialect.FIX_4_4,
        ord_types=frozenset(OrdType),
        times_in_force=frozenset(TimeInForce),
        exec_insts=frozenset[ExecInst](),
        modify=True,
        order_status=True,
        mass_status=False,
        positions=False,
        market_data=False,
        order_fields={},
    ),
}
