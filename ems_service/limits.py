"""Every bound of the EMS, with its reason and what happens at it."""

from decimal import Decimal

NUMBER_BELOW = Decimal(10**15)
"""Prices and quantities stay below this. Sums of money that would outgrow the 38 digits of the wire all the same lose
decimals. Beyond it: refused.
"""

SHOWN_LENGTH_MAX = 64
"""Characters of a refused value that its refusal repeats. The rest is cut."""

WORDS_LENGTH_MAX = 256
"""Characters of an operator's words. Beyond it: refused."""

TAGS_MAX = 16
"""Tags of one order. Beyond it: refused."""

TAG_BYTES_MAX = 256
"""Bytes of one tag's value. Beyond it: refused."""

REFILLS_MAX = 256
"""Times a message is filled again before another takes its place: what was overwritten, some 100 bytes a time, is kept
until then.
"""

CHECKED_MAX = 16_384
"""Values of a field whose form was found good and is not looked at again; symbols, accounts, prices and quantities
repeat. Beyond it the oldest are dropped.
"""

COMMANDS_PER_MESSAGE_MAX = 4_096
"""Commands in one message: what fits the 4 MiB of a message. Beyond it the stream ends INVALID_ARGUMENT."""

INBOX_MAX = 16_384
"""Inputs that may wait for the engine, a fraction of a second of work. At it the streams of clients are not read, and
their calls wait; brokers' streams are always read.
"""

CLIENT_COMMANDS_WAITING_MAX = 8_192
"""Commands of one stream, or of all unary calls of a client, that may wait for the engine: two full messages, and half
of the inbox, so that a client that floods leaves room for others. Beyond it submits and modifies are refused THROTTLED
with a retry delay; cancels never.
"""

THROTTLED_RETRY_SECONDS = 0.5
"""When a throttled command may be tried again: the engine has worked off most of what waited by then."""

GROUP_MAX = 1_024
"""Inputs decided before a commit: bounds what one client waits for another. The rest waits for the next commit."""

STREAM_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of events that may wait for one client, some 100,000 events. Beyond it the client is cut off and catches up
from the journal.
"""

BROKER_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of requests that may wait for one broker. Beyond it the stream is dropped, and recovery sorts out what it
had.
"""

QUOTES_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of market updates that may wait for one consumer, some 40,000 ticks. Beyond it the latest of each market and
kind is held instead, and comes with the number missed.
"""

FEED_REQUESTS_BYTES_MAX = 1024 * 1024
"""Bytes of subscriptions that may wait for a broker. Beyond it the stream of its feed is dropped and opened again."""

FEED_SLICE_UPDATES = 32
"""Updates of a market data message that are taken before the engine may go on, at most: half a millisecond of work."""

FEED_SLICE_SECONDS = 0.001
"""Time after which the engine may go on all the same: deep books and many lengths of bars make an update dearer."""

FEED_LINGER_SECONDS = 2.0
"""Time that a market without consumers stays subscribed to, and a book is asked for deeper than anybody wants, for who
opens a screen again.
"""

BLIND_ENDS_SECONDS = 60.0
"""Time within which the end of a market's blindness is told once to each order that waits for its prices; of a feed
that comes and goes again, the next end is told when it has stayed. An order is told of two changes a minute at most.
"""

FEED_STALE_SECONDS = 10.0
"""Silence of a market after which its feed is stale: longer than a quiet instrument's usual pauses."""

FEED_LOOK_SECONDS = 0.5
"""Time between looks for markets that fell silent."""

BARS_KEPT_MAX = 3_600
"""Complete bars kept of a market and length while it is subscribed to, an hour of seconds and half a MB. Beyond it the
oldest are dropped.
"""

BARS_LINGER_SECONDS = 60.0
"""Time that bars go on being built when nobody wants them any more, so that who lost its stream finds them whole. What
was built is kept for longer: until its place is needed, or the market is not subscribed to any more.
"""

BAR_LENGTHS_BUILT_MAX = 32
"""Lengths of bars of one market, whoever wants them: each costs some 40 µs on every trade. Beyond it a consumer that
wants another is refused, once nobody's have been forgotten.
"""

MARKET_BACK_SECONDS = 10.0
"""A market that tells only times so much before its latest, for so long, has begun again at an earlier time. What comes
late now and then is only late.
"""

BAR_SECONDS_MAX = 86_400
"""Longest bar, a day. Beyond it: refused."""

BAR_LENGTHS_MAX = 16
"""Lengths of bars in one subscription: each costs on every trade. Beyond it: refused."""

BAR_LENGTHS_REQUEST_MAX = 1_000
"""The same in all subscriptions of a request together: one of each market that it may name. Beyond it: refused."""

BARS_PAGE_DEFAULT = 1_000
BARS_PAGE_MAX = 10_000
"""Bars in one page. Beyond it: refused."""

THROTTLE_HZ_MAX = 1_000.0
"""Fastest throttle: beyond it, it would be none. Beyond it: refused."""

DEPTH_MAX = 1_000
"""Levels of a book per side that may be asked for. Beyond it: refused."""

OPEN_SECONDS_MAX = 10.0
"""Time from the beginning of a Trade stream to an open that is taken. Beyond it the stream ends UNAVAILABLE."""

OPENING_WRITE_SECONDS_MAX = 10.0
"""Time in which a client takes a message, 1 MiB at most, of a snapshot or of what it missed. Beyond it the client is
cut off: while a stream begins nobody hears whether its client is there.
"""

REPLAY_BYTES_MAX = 1024 * 1024
"""Bytes of stored events that are read for one client at a time, so that a long catch-up holds nobody up."""

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000
"""Items in one page of a list. Beyond it: refused."""

SUBSCRIPTIONS_MAX = 1_000
"""Instruments that one Quotes stream may ask for. Beyond it: refused."""

HEARTBEAT_SECONDS_MAX = 60
"""Longest interval of heartbeats: a longer one would notice nothing. Beyond it: refused."""

CONNECT_SECONDS_MIN = 0.1
CONNECT_SECONDS_MAX = 2.0
"""Pause before a lost broker is called again, doubled each time between these, so that a restart is noticed at once
and a long absence costs nothing.
"""

TIMER_SECONDS = 0.1
"""Wall time between looks at the deadlines of the core: so much later than due is a broker asked."""

ANSWER_SECONDS_MIN = 0.1
ANSWER_SECONDS_MAX = 60.0
"""Bounds of the time that a broker has for an answer: below them every answer would be late, above them none."""

BROKER_SILENCE_SECONDS_MAX = 10.0
"""Time a broker may take for its hello_ack or for the next message of its recovery. Beyond it the stream is dropped
and opened again.
"""

BROKER_TICK_SECONDS = 0.5
BROKER_SILENT_TICKS_MAX = 4
"""A heartbeat to each broker every half second, which it answers; after so many without a word from it the stream is
dropped: the line may be half open, and gRPC's own keepalive takes a minute. Ticks, so that a time in which this
process itself stood still counts as one.
"""

BROKER_TEXTS_TOLD_MAX = 8
"""Different reasons of one outage, for which a broker cannot be taken, that are told to who has orders there. `pitline
status` has the latest.
"""

COMPARE_TICKS = 60
"""Ticks between comparisons with what a broker says that it holds and has open: half a minute."""

OPEN_REFS_MAX = 100_000
"""Refs of open orders in one message of a hello, less than 2 MiB of the 4 that a receiver takes. The rest follows."""

ORDER_REF_LENGTH_MAX = 64
"""Characters of the ref of an order placed elsewhere. A longer one is quarantined."""
GROUP_DEADLINE_SECONDS_DEFAULT = 30
GROUP_DEADLINE_SECONDS_MAX = 3_600
"""Longest time that a group of cancels is followed, and that of who names none. Beyond it: refused."""

GROUP_ORDERS_MAX = 100
"""Orders of one submit_group. Beyond it: refused."""

FIRST_PRICE_SECONDS_MAX = 2.0
"""Time that the first dark order of an instrument waits for its first price, which gives it its direction. Beyond it
the order is judged without, and denied if it names no direction.
"""

FIRST_PRICE_HELD_SECONDS = 10.0
"""Time that a feed is held for a first price: until then nobody waits for it a second time."""

ACK_BROKER_SEQ_EVERY = 1_000
"""Events of a broker after which it is told that they are stored, so that it may trim its log."""

UNARY_WAIT_SECONDS_MAX = 300.0
"""Longest wait of a unary call that names no deadline; then it returns the state as it is."""

UNARY_MARGIN_SECONDS = 0.1
"""Time before a call's deadline at which it returns the state, so that the state arrives rather than
DEADLINE_EXCEEDED.
"""

COMMAND_ID_LENGTH_MAX = 64
"""Characters of a command_id that come back in a refusal, where it may be what is malformed. The rest is cut."""

HEARTBEATS_MISSED_MAX = 3
CLIENT_TICKS_PER_HEARTBEAT = 4
"""Intervals of silence after which a client that owes heartbeats counts as lost, and looks in each of them."""

GRACE_SECONDS_MAX = 3_600
"""Longest grace before a lost client's orders are canceled. Beyond it: refused."""

RETURN_SECONDS_MIN = 5.0
"""Least grace after a start of the EMS: a client finds it again within two or three seconds, however short the grace
that it asked for.
"""

EXEC_ID_LENGTH_MAX = 64
"""Characters of a broker's exec_id. A longer one is quarantined."""

BROKER_TEXT_LENGTH_MAX = 256
"""Characters of a broker's words that are kept. The rest is cut."""

FILTER_MAX = 1_000
"""Values of one filter of a list or a view. Beyond it: refused."""

PAGE_BYTES_MAX = 3 * 1024 * 1024
"""Bytes of one page of orders, below what a receiver takes. The rest is on the next page."""

GC_THRESHOLDS = (10_000, 20, 100)
"""Allocations between collections of the youngest objects (a few milliseconds), and how many of those make a
collection of the next generation. With Python's own (700, 10, 10) collecting takes a tenth of an order's time.
"""

WAL_CHECKPOINT_BYTES = 4 * 1024 * 1024
"""Bytes of committed groups after which SQLite's log is moved into its database, in a thread beside the commits."""

WAL_BYTES_MAX = 64 * 1024 * 1024
"""Size of SQLite's log beyond which one commit waits until it begins anew; under steady load it would grow for ever."""

TRIM_BYTES_MAX = 256 * 1024
"""Bytes of records past retention that are taken out at a time, between two commits."""

UPKEEP_SECONDS = 1.0
"""Pause between two looks at the disk and the journal's size. Cheap: a few system calls."""

FREE_BYTES_MIN = 256 * 1024 * 1024
"""Free space on the journal's disk below which new orders and raises are refused, DISK_FULL; cancels are taken, and
what brokers say is stored. Enough for some million events to be told on the way out.
"""

FREE_BYTES_ENOUGH = FREE_BYTES_MIN * 5 // 4
"""Free space from which on orders are taken again: more than the least, so that it does not go to and fro."""

SNAPSHOT_PART_ITEMS_MAX = 1_000
"""Orders, or executions, in one part of a snapshot: what is read and decoded at a time."""

COMPACT_RECORDS = 100_000
"""Records after which a snapshot is made, in a process of its own: what a restart has to fold. Each costs that process
some seconds.
"""

ENDED_ORDERS_KEPT = 10_000
"""Ended orders that a compaction leaves in memory, those that moved last. The others are in the archive."""

ENDED_SECONDS_KEPT = 3_600
"""Time after which an ended order leaves memory also when it is among those."""

EXEC_IDS_KEPT = 20_000
"""Executions that a compaction leaves in memory, the newest. The archive has the others."""

SNAPSHOTS_KEPT = 2
"""Snapshots in the archive. Should the newest be damaged, a restart folds from the one before; retention keeps the
records after that.
"""

LET_GO_MAX = 500
"""Orders or executions that the engine lets go of at a time, so that no order waits for more than a millisecond."""

ID_FILTER_BITS = 2**26
"""Size of the filter over archived ids, 8 MiB. With two million ids one look in thirty goes to the archive in vain."""

ARCHIVE_SCAN_MAX = 1_000_000
"""Archived orders that one ListOrders looks through for its page. The rest is on the next page."""

TRIM_STEPS_MAX = 64
"""Steps of taking out records past retention, one upkeep. The rest waits for the next."""

RETENTION_DAYS_DEFAULT = 30.0
"""Days for which records are kept, so that clients can resume and history can be read. Ids and ended orders are kept in
the archive beyond it.
"""

RETENTION_MIB_DEFAULT = 4_096
"""Size of the journal above which the oldest records go before their time."""

ENCODE_MAX = 100
"""Orders of a page, orders or positions of a snapshot, that are encoded at a time, so that no order waits for more than
a few milliseconds.
"""
