"""Every bound of the paper broker, its reason, and what happens at it."""

INBOX_ITEMS_MAX = 1_024
"""Items (batches of requests, batches of market changes) that wait for the engine, and so the most that one commit
holds. At the bound the market waits and the trades stream is not read: the EMS feels it as flow control."""

QUOTES_BACKLOG_PACED_BYTES = 1024 * 1024
"""Backlog of any Quotes stream at which a market that is played as quickly as it is taken waits for that stream."""

TRIM_EVENTS_MIN = 1_000
"""Acknowledged events that gather before they are deleted, so that not every acknowledgment costs a deletion. The log
itself has no bound but the disk: what no EMS has stored is kept."""

ENDED_ORDERS_IN_MEMORY = 50_000
"""Ended orders kept in memory, about 20 MB; older ones are looked up in the store, some microseconds each."""

EXPIRY_CHECK_SECONDS = 0.25
"""Wall time between looks at the market clock for orders that expire and markets that open or close; nothing of that is
later."""

LATENCY_CHECK_SECONDS = 0.001
"""The same while a request or a fill waits for its latency: so exact are the delays, and so much does it cost while any
is under way."""

HISTORY_SECONDS_MAX = 100_000
"""Seconds with trades that are kept of a symbol for ListBars, more than a day of a busy one, some 15 MB. Beyond it the
oldest are dropped."""

REMOTE_DEPTH = 50
"""Levels per side that a remote market is asked for: more than an order usually takes."""

REMOTE_ANSWER_SECONDS_MAX = 10.0
"""Time that a remote market may take to list its instruments. Beyond it the broker does not start."""

REMOTE_PAUSE_SECONDS_MIN = 0.1
REMOTE_PAUSE_SECONDS_MAX = 2.0
"""Pause before a lost remote market is called again, doubled each time between these."""

BAR_SECONDS_MAX = 86_400
"""Longest bar, a day; beyond it INVALID_ARGUMENT."""

BARS_PAGE_DEFAULT = 1_000
BARS_PAGE_MAX = 10_000
"""Bars in one page; beyond it INVALID_ARGUMENT."""
