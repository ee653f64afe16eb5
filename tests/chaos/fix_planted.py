"""`python -m chaos.fix_planted FAULT`: a FIX adapter with a fault in it, to see that `chaos.fix_run` finds it.

Each fault is one of those that an adapter must not have, made by replacing a function of the adapter while it starts.
Nothing in the adapter knows of it.
"""

import sys
from collections.abc import Callable

from broker_adapters.fix.__main__ import main
from broker_adapters.fix.core.desk import Desk
from broker_adapters.fix.core.orders import Execution, Status
from broker_adapters.fix.session_files import SessionFiles
from broker_adapters.fix.store import Group, Place, Store
from pitline_rpc.server import run


def unstored_send() -> None:
    """Orders leave for the venue before they are stored: with the first answer of the venue they are."""
    commit = Store.commit

    def forgetful(self: Store, group: Group) -> None:
        group.orders = [order for order in group.orders if order.status is not Status.PENDING]
        commit(self, group)

    _replace(Store, "commit", forgetful)


def forgotten_hearing() -> None:
    """A restart goes on where QuickFIX was, not where the store was: what was heard and not stored is not asked for."""

    def nothing(_self: SessionFiles, _heard: Place) -> None:
        pass

    _replace(SessionFiles, "hear_again", nothing)


def skipped_dedupe() -> None:
    """A restart hears the whole session again, which does no harm by itself, and no fill is known by its ExecID."""
    again = SessionFiles.hear_again

    def all_again(self: SessionFiles, _: Place) -> None:
        again(self, Place(0, self.era))

    def unknown(_self: Desk, _order_ref: str, _exec_id: str) -> Execution | None:
        return None

    _replace(SessionFiles, "hear_again", all_again)
    _replace(Desk, "execution", unknown)


def _replace(owner: object, name: str, by: Callable[..., object]) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more: the fault has to be planted elsewhere"
    setattr(owner, name, by)


FAULTS = {plant.__name__: plant for plant in (unstored_send, forgotten_hearing, skipped_dedupe)}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    sys.exit(run(main))
