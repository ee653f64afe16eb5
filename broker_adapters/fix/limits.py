"""Every bound of the FIX adapter, its reason, and what happens at it."""

INBOX_ITEMS_MAX = 1_024
"""Batches of requests that wait for the engine, and so the most of them that one commit holds. At the bound the trades
stream is not read: the EMS feels it as flow control."""

HEARD_MESSAGES_MAX = 10_000
"""Messages of the venue that wait for the engine. At the bound QuickFIX's thread waits, and with it the line: the venue
feels it as flow control. None is dropped."""

TRIM_EVENTS_MIN = 1_000
"""Acknowledged events that gather before they are deleted, so that not every acknowledgment costs a deletion."""

ENDED_ORDERS_IN_MEMORY = 10_000
"""Ended orders kept in memory, at most twice as many; older ones are looked up in the store."""

TEXT_LENGTH_MAX = 512
"""Characters of a venue's words that travel."""

LEVEL_SECONDS_MAX = 3.0
"""Time that the session has at the start to log on and catch up, before an EMS is served without it. With it the first
recovery of an EMS knows what became of its orders; without it the orders that wait for an answer are in doubt."""

LEVEL_AGAIN_SECONDS = 0.5
"""Between two questions whether the venue has heard everything, until it has answered one."""

RESEND_MOMENT_SECONDS_MAX = 2.0
"""Age up to which a MARKET, IOC or FOK order goes out again when the venue asks for what it missed: it wanted the price
of its moment, and the EMS sends no older one either. Beyond it the venue is told to pass over it, and the order is
rejected."""

RESEND_SECONDS_MAX = 30.0
"""The same for orders that rest, and for replaces: a line that was lost for a moment costs nothing, one that was lost
for an hour must not bring an order back that everybody has forgotten."""

STOP_SECONDS_MAX = 3.0
"""Time for the Logout and its answer at the end of the program."""

SECRET_COMMAND_SECONDS_MAX = 10.0
"""Time for the command that prints the password. Beyond it the adapter does not start."""
