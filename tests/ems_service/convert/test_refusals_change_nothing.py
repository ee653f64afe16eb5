"""Whatever a client sends: if it is refused, the state is what it was."""

from decimal import Decimal

from hypothesis import given, settings, strategies as st

from ems_service.convert import command
from ems_service.core import ems, inputs
from ems_service.core.events import Event, Refusal
from ems_service.core.inputs import Cause
from ems_service.core.market import Offer
from ems_service.core.values import BrokerState, OrdType, TimeInForce
from pitline.ems.v1.command_pb2 import Cancel, Command, Modify, OrderKey, Submit
from pitline.types.v1.order_pb2 import OrderTerms
from pitline_rpc.status import Refused
from support.ems_core import ALICE, LISTING, PRINCIPAL, SYMBOL, Core, connected, terms, written

# A broker that lacks some of what may be asked for, so that refusals come from every layer.
PLAIN = Offer(
    ord_types=frozenset([OrdType.LIMIT]),
    times_in_force=frozenset([TimeInForce.GTC]),
    modify=True,
    listings={SYMBOL: LISTING},
)
NAMES = ("pending", "working", "part-filled", "canceling", "modifying", "filled", "canceled", "rejected", "denied")

numbers = st.sampled_from(
    ["", "1", "1.00", "2", "100", "100.25", "0.3", "0.05", "5000", "0", "-1", "NaN", "1e3", "x" * 99]
)
keys = st.builds(
    OrderKey,
    client_order_id=st.sampled_from([*NAMES, "nobody", "", "a b"]),
    client_id=st.sampled_from(["", ALICE, "bob", "b b"]),
) | st.builds(OrderKey, order_id=st.sampled_from(["TESTJRNL-1", "TESTJRNL-99", ""]))
enums = st.integers(-1, 6) | st.just(99)
asked = st.builds(
    OrderTerms,
    account=st.sampled_from(["paper.main", "paper.nobody", "paper", ""]),
    symbol=st.sampled_from([SYMBOL, "NO-SUCH", ""]),
    side=enums,
    order_qty=numbers,
    ord_type=enums,
    limit_px=numbers,
    time_in_force=enums,
    execution=st.integers(-1, 3),
    exec_inst=st.lists(st.integers(0, 3), max_size=2),
    tags=st.dictionaries(st.sampled_from(["t", "a b"]), st.just("x"), max_size=1),
)
commands = (
    st.builds(Command, submit=st.builds(Submit, client_order_id=st.sampled_from([*NAMES, "new", ""]), terms=asked))
    | st.builds(Command, modify=st.builds(Modify, order=keys, order_qty=numbers, limit_px=numbers, stop_px=numbers))
    | st.builds(Command, cancel=st.builds(Cancel, order=keys))
)


def one_of_each() -> Core:
    """A core with an order of Alice's in every status that she can bring one into, named by it."""
    core = connected(PLAIN)
    for name in NAMES:
        core.submit(name, terms(qty="2", time_in_force=TimeInForce.DAY if name == "denied" else TimeInForce.GTC))
        if name == "rejected":
            core.reject(name)
        elif name not in ("pending", "denied"):
            core.ack(name)
    core.fill("part-filled", "1")
    core.cancel("canceling")
    key = inputs.OrderKey(client_order_id="modifying", client_id=ALICE)
    core.decided(inputs.Modify(Cause(PRINCIPAL, ALICE), key, Decimal(3), None))
    core.fill("filled", "2")
    core.cancels("canceled")
    return core


def to_input(message: Command) -> inputs.Input:
    """As the stream has it."""
    cause = Cause(PRINCIPAL, ALICE)
    match message.WhichOneof("kind"):
        case "submit":
            return command.submit(message.submit, cause)
        case "modify":
            return command.modify(message.modify, cause)
        case _:
            return command.cancel(message.cancel, cause)


def refused(core: Core, message: Command) -> bool:
    """Whether the command was refused, after it was given."""
    try:
        wanted = to_input(message)
    except Refused:
        return True
    decision = ems.take(core.state, wanted, core.market, core.now_ns)
    answers = [item for item in decision if isinstance(item, Refusal)]
    assert not answers or not any(isinstance(item, Event) for item in decision), decision
    return bool(answers)


@settings(max_examples=100, deadline=None)
@given(sent=st.lists(commands, min_size=1, max_size=8), down=st.booleans())
def test_a_refused_command_leaves_the_state_as_it_was(sent: list[Command], down: bool) -> None:
    core = one_of_each()
    if down:
        core.link(BrokerState.DOWN, "gone")
    for message in sent:
        before = written(core.state)
        if refused(core, message):
            assert written(core.state) == before, message


def test_refusals_of_both_kinds_are_among_what_is_tried() -> None:
    core = one_of_each()
    assert refused(core, Command(cancel=Cancel(order=OrderKey(client_order_id="filled"))))
    assert refused(core, Command(cancel=Cancel(order=OrderKey(client_order_id="a b"))))
    assert refused(core, Command(modify=Modify(order=OrderKey(client_order_id="canceling"), limit_px="99")))
    assert not refused(core, Command(cancel=Cancel(order=OrderKey(client_order_id="working"))))
