"""Bounds that all brokers share, with their reasons, and what happens at them."""

NAME_LENGTH_MAX = 64
"""Characters of an account or symbol in a request; a longer one is refused without being looked up or repeated."""

EPOCH_MAX = 2**63 - 1
"""Largest epoch: what a store of SQLite keeps as a number. A larger one is refused INVALID_ARGUMENT."""

HELLO_SECONDS_MAX = 10.0
"""Time from the beginning of a trades stream to its hello with all its open refs. Beyond it the stream ends
UNAVAILABLE."""

HELLO_REFS_MAX = 1_000_000
"""Open refs of a hello together with the open_refs that follow it, some 100 MB. Beyond it INVALID_ARGUMENT."""

TIME_SECONDS_MAX = 9_000_000_000
"""In the year 2255: ns since 1970 of later times do not fit a store's 64 bits."""

QUOTES_BACKLOG_BYTES_MAX = 16 * 1024 * 1024
"""Updates encoded for one Quotes stream that were not taken: about 200,000. Beyond it the stream ends
RESOURCE_EXHAUSTED: updates are never dropped silently, and a new stream begins with the last state."""

BOOK_DEPTH_MAX = 1_000
"""Levels per side that a subscription may ask for; beyond it INVALID_ARGUMENT."""

INSTRUMENTS_PAGE_MAX = 1_000
"""Instruments in one page, also when none is asked for."""

BACKLOG_BYTES_MAX = 64 * 1024 * 1024
"""Events encoded for an EMS that it has not taken. Beyond it the stream ends RESOURCE_EXHAUSTED; everything stays in
the log, and the EMS continues from its cursor."""

SILENCE_TICK_SECONDS = 0.5
SILENCE_TICKS_MAX = 5
"""Looks at an attached EMS that owes heartbeats, one every half second; after so many in silence its stream ends: its
line may be half open, and a new one must not be refused for it."""

REPLAY_EVENTS = 1_000
"""Events read from the log at once for an EMS that catches up; the next are read when those are on their way."""

REPLAY_BACKLOG_BYTES = 1024 * 1024
"""Unsent bytes at which the replay of missed events, or of what stands, waits: a recovery of any length stays small on
its way."""
