"""What has left memory comes back before it is decided about, and leaves again afterwards.

Used by the engine, inside its step: an input that refers to an order or an execution in the archive finds it in the
state, so that the answer is the same as if it had never left. Invariant: an id that is in neither memory nor the
filter costs no look into the file.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

from ems_service.archive import Archive, Archived
from ems_service.core import inputs, memory
from ems_service.core.families import linked
from ems_service.core.inputs import Input
from ems_service.core.order import Order
from ems_service.core.state import State
from ems_service.id_filter import IdFilter, client_key, execution_key
from ems_service.limits import LET_GO_MAX


class Recall:
    """The archive as the engine sees it. `row` and `ids` say what of it had left memory at the start."""

    def __init__(self, archive: Archive, ids: IdFilter, row: int) -> None:
        self.row = row
        """Orders up to this row of the archive have left memory."""
        self._archive = archive
        self._ids = ids
        self.back: dict[int, Archived] = {}
        """By number: orders that came back, as they were then."""

    def take_back(self, state: State, given: Input) -> None:
        """Bring back what the input refers to, if it had left."""
        looking = _LOOKING.get(type(given))
        if looking is not None:
            looking(self, state, given)

    def let_orders_go(self, state: State, archived: list[Archived]) -> None:
        """Orders that the archive has by now leave memory, and with them those that had come back and did not move."""
        for found in archived:
            order = state.orders.get(state.order_id(found.number))
            if order is not None:
                self._ids.add(client_key(order.principal, order.client_id, order.client_order_id))
            self.row = found.row
        going = [*archived, *self.back.values()]
        self.back.clear()
        memory.let_orders_go(state, ((found.number, found.last_seq) for found in going))

    def let_executions_go(self, state: State, up_to_seq: int) -> bool:
        """Executions up to a seq leave memory, a bounded number of them; whether there are more."""
        more = False
        for account, seqs in state.exec_ids.items():
            # In the order in which they were applied, but for those that came back.
            old = [exec_id for exec_id, seq in islice(seqs.items(), LET_GO_MAX) if seq <= up_to_seq]
            for exec_id in old:
                self._ids.add(execution_key(account, exec_id))
            memory.let_executions_go(state, [(account, exec_id) for exec_id in old])
            more = more or len(old) == LET_GO_MAX
        return more

    def for_submit(self, state: State, given: inputs.Submit) -> None:
        """The order that has this id already."""
        self._by_client(state, given.cause.principal, given.cause.client_id, given.client_order_id)

    def for_group(self, state: State, given: inputs.SubmitGroup) -> None:
        """The orders that have these ids already."""
        for asked in given.orders:
            self.for_submit(state, asked)

    def for_key(self, state: State, given: inputs.Cancel | inputs.Modify) -> None:
        """The order that is to be changed."""
        key = given.key
        if key.order_id:
            self._by_number(state, state.number_of_id(key.order_id))
        else:
            self._by_client(state, given.cause.principal, key.client_id, key.client_order_id)

    def for_ref(self, state: State, given: Any) -> None:
        """The order that the broker speaks of, and those that it is linked to or a part of a whole with."""
        if given.order_ref not in state.by_ref:
            self._by_number(state, state.number_of_ref(given.order_ref))
        order = state.by_ref.get(given.order_ref)
        family = linked(state, order) if order is not None else None
        for order_id in family.order_ids if family is not None else ():
            self._by_number(state, state.number_of_id(order_id))
        if order is not None and family is None and order.parent_order_id:
            self._by_number(state, state.number_of_id(order.parent_order_id))
            parent = state.parents.get(order.parent_order_id)
            for child_id in parent.child_ids if parent is not None else ():
                self._by_number(state, state.number_of_id(child_id))

    def for_id(self, state: State, given: inputs.ResolveOrder) -> None:
        """The order that the operator means."""
        self._by_number(state, state.number_of_id(given.order_id))

    def for_correction(self, state: State, given: inputs.TradeCorrected) -> None:
        """The order, and its fill that is another one now."""
        self.for_fill(state, given.now)

    def for_fill(self, state: State, given: inputs.Filled) -> None:
        """The order, and the execution if it was applied before."""
        self.for_ref(state, given)
        order = state.by_ref.get(given.order_ref)
        # A broker may leave the account out, or contradict its order.
        for account in {given.account} if order is None else {given.account, order.terms.account}:
            if given.exec_id in state.exec_ids.get(account, ()):
                continue
            if execution_key(account, given.exec_id) in self._ids:
                seq = self._archive.execution(account, given.exec_id)
                broker = state.broker_of(account)
                if seq is not None and (broker is None or seq >= broker.bound_seq):
                    memory.take_execution_back(state, account, given.exec_id, seq)

    def _by_client(self, state: State, principal: str, client_id: str, client_order_id: str) -> None:
        who = (principal, client_id, client_order_id)
        if client_key(*who) in self._ids and who not in state.by_client:
            self._put_back(state, self._archive.by_client(*who))

    def _by_number(self, state: State, number: int | None) -> None:
        if not self.row or number is None or number > state.orders_made:
            return
        if state.order_id(number) not in state.orders:
            self._put_back(state, self._archive.by_number(number))

    def _put_back(self, state: State, found: tuple[Order, bool] | None) -> None:
        if found is not None:
            order, routed = found
            memory.take_back(state, order, routed=routed)
            self.back[order.number] = Archived(0, order.number, order.last_seq)


_LOOKING: dict[type[Any], Callable[[Recall, State, Any], None]] = {
    inputs.Submit: Recall.for_submit,
    inputs.SubmitGroup: Recall.for_group,
    inputs.Cancel: Recall.for_key,
    inputs.Modify: Recall.for_key,
    inputs.Acked: Recall.for_ref,
    inputs.Rejected: Recall.for_ref,
    inputs.Filled: Recall.for_fill,
    inputs.Canceled: Recall.for_ref,
    inputs.CancelRejected: Recall.for_ref,
    inputs.Modified: Recall.for_ref,
    inputs.ModifyRejected: Recall.for_ref,
    inputs.Expired: Recall.for_ref,
    inputs.RefState: Recall.for_ref,
    inputs.ResolveOrder: Recall.for_id,
    inputs.TradeCanceled: Recall.for_ref,
    inputs.TradeCorrected: Recall.for_correction,
}
