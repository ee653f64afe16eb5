"""Bounds of the client library: each with its reason, and what happens there."""

COMMANDS_PER_MESSAGE_MAX = 4_096
"""Commands in one message, as the contract says. What is beyond goes into the next."""

COMMAND_BYTES_MAX = 64 * 1024
"""Size of one command: ten times an order with every tag it may carry. A larger one is refused where it is made."""

COMMANDS_WAITING_MAX = 100_000
"""Commands without an answer. A client that far ahead of its server has lost control: BacklogError."""

SUBMIT_AGE_SECONDS_MAX = 2.0
"""Age up to which an order that wants the price of its moment (MARKET, IOC, FOK) is sent once a lost stream is back. An
older one is given up: NotSentError. Orders that rest are sent at any age."""

EVENTS_WAITING_MAX = 65_536
"""Events that wait for one iterator, some 50 MB. It is cut off with its last seq: SlowConsumerError."""

ENDED_ORDERS_MAX = 10_000
"""Ended orders kept for `Client.orders`. The oldest are forgotten here; the EMS still finds them."""

OPEN_SECONDS_MAX = 10.0
"""How long the EMS may take to answer an open. Then the stream counts as lost."""

CALL_SECONDS_MAX = 15.0
"""How long a single call may take, unless it says otherwise. Then it is refused with DEADLINE_EXCEEDED."""

LEAVE_SECONDS_MAX = 5.0
"""How long leaving may take: the last answers, then the end of the stream."""

HEARTBEATS_MISSED_MAX = 3
"""Heartbeat intervals of silence after which the stream counts as lost."""

PAUSE_SECONDS_MIN = 0.05
PAUSE_SECONDS_MAX = 2.0
"""Bounds of the growing pause before a lost stream is opened again. Longer ones only lengthen the blindness."""
