"""What several cases must hold of what they hear."""

from pitline.broker.v1.event_pb2 import Fate, RefState
from pitline_conform.verdicts import must
from pitline_rpc.decimals import parse


def has_fate(state: RefState, fate: Fate.ValueType, cum_qty: str | None = None) -> None:
    """The ref_state says this, and so much filled if it is given."""
    told, wanted = Fate.Name(state.fate), Fate.Name(fate)
    must(state.fate == fate, f"{state.order_ref} is told as {told}, not {wanted}")
    if cum_qty is not None:
        must(state.cum_qty, f"cum_qty of {state.order_ref} is empty")
        filled = parse(state.cum_qty)
        must(filled == parse(cum_qty), f"cum_qty of {state.order_ref} is {state.cum_qty}, not {cum_qty}")
