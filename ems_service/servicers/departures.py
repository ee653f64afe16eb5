"""Clients whose attendance was lost and who had asked for their orders to be canceled then: CANCEL_MINE, after a grace.

Told by the Trade streams. A logout is no loss, nor is a stream that a newer one replaced or that the EMS itself shut
down. Who had asked for it is journaled: after a start of the EMS, whichever way the one before ended, each of them
has a grace to come back in.
"""

import asyncio
from collections.abc import Mapping

import structlog

from ems_service.core.inputs import Cause, Disconnected
from ems_service.engine import Engine
from ems_service.limits import RETURN_SECONDS_MIN
from ems_service.servicers.streams import Attendant

_log = structlog.stdlib.get_logger(__name__)


class Departures:
    """Graces that run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: dict[Attendant, asyncio.TimerHandle] = {}

    def lost(self, attendant: Attendant, grace_seconds: float) -> None:
        """The grace begins; at its end the client's open orders are canceled."""
        loop = asyncio.get_running_loop()
        self._running[attendant] = loop.call_later(grace_seconds, self._over, attendant)

    def returned(self, attendant: Attendant) -> None:
        """The client attends again: its orders stand."""
        grace = self._running.pop(attendant, None)
        if grace is not None:
            grace.cancel()

    def restarted(self, cancel_after_seconds: Mapping[Attendant, int]) -> None:
        """The EMS has started: the graces of those who had asked for it begin anew."""
        for attendant, grace_seconds in cancel_after_seconds.items():
            self.lost(attendant, max(grace_seconds, RETURN_SECONDS_MIN))

    def forget(self) -> None:
        """The EMS shuts down: no grace ends here any more."""
        for grace in self._running.values():
            grace.cancel()
        self._running.clear()

    def _over(self, attendant: Attendant) -> None:
        del self._running[attendant]
        principal, client_id = attendant
        _log.info("canceling_orders_of_lost_client", client_id=client_id)
        self._engine.put(Disconnected(Cause(principal, client_id)))
