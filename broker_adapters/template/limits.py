"""Every bound of this adapter, with its reason."""

TRADES_BACKLOG_BYTES_MAX = 16 * 1024 * 1024
"""What may wait for an EMS that does not read. Beyond it the stream ends; the next recovery tells what was missed."""

REPLAY_EVENTS = 1_000
REPLAY_BACKLOG_BYTES = 1024 * 1024
"""A recovery reads so many events at once, and the next when less than this waits to be sent."""

QUOTES_BACKLOG_BYTES_MAX = 1024 * 1024
"""What may wait for a reader of quotes."""

SILENCE_SECONDS = 2.5
"""An EMS owes a sign of life every second. Without one for so long its line may be half open, and is given up."""

SILENCE_LOOK_SECONDS = 0.5
"""How often that is looked at."""

REPORTS_MAX = 10_000
"""Reports of the venue that wait to be stored; beyond it the venue waits."""

NAME_LENGTH_MAX = 64
"""Characters of an account or a symbol."""

PAGE_MAX = 1_000
"""Instruments on one page, as the contract says."""
