"""Lies that can be planted, each a switch of the harness: production code is as it is, what it is given is not. One is
a row of a table.

A simulation that cannot tell a liar is worth nothing: `test_simulation.py` plants each and expects to be told.
"""

from enum import Enum


class Fault(Enum):
    """One planted lie. The value says what it does."""

    UNJOURNALED_SEND = "the journal says stored before it is: requests leave, what goes to clients waits as it should"
    EARLY_REPLY = "the journal says stored before it is: clients are told, what goes to the broker waits as it should"
    EARLY_CURSOR = "the last broker_seq to be told is kept when an event arrives, not with what it led to"
    SKIPPED_EXEC_DEDUPE = "every exec_id is taken for a new one"
    SKIPPED_ID_DEDUPE = "every client_order_id is taken for a new one"
    LOST_TRIGGERS = "a restart forgets which triggers are nearest"
    FORGOTTEN_ID = "a restart forgets which ids have left memory"
    LOST_STASH = "a restart forgets the cancels that wait"
    EARLY_FILL = "the paper broker tells before it stores"
    EARLY_CHILD = "a child of linked orders leaves before the fill that sends it is stored"
    UNSHRUNK_SIBLING = "what one of several that share a quantity fills in part is not taken from the others"
    LOST_PART = "a restart forgets the parts of orders with route BEST that were on their way"
    DOUBLED_PART = "a restart forgets of orders with route BEST which parts were on their way"
