"""How two processes are connected: options of channels and servers, each with its reason. Both ends agree here."""

import grpc.aio

RECEIVE_BYTES_MAX = 4 * 1024 * 1024
"""Largest message taken from a peer. Beyond it the call ends RESOURCE_EXHAUSTED; senders split far below it."""

METADATA_BYTES_MAX = 16 * 1024
"""All headers of a call together. Beyond it the call ends RESOURCE_EXHAUSTED; rich errors travel in the trailers."""

KEEPALIVE_SECONDS = 20
"""Silence after which a peer is asked whether it is there."""

KEEPALIVE_TIMEOUT_SECONDS = 10
"""How long the answer may take. So a pulled cable ends every call after at most 30 s."""

RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 2.0
"""Bounds of the growing pause between attempts to connect. gRPC's own go from 1 s to 2 min: after a restart of the
other side that is a long blindness, and a retry costs next to nothing."""


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


_BOTH = (
    ("grpc.max_receive_message_length", RECEIVE_BYTES_MAX),
    # Soft and hard limit alike: between two different ones gRPC refuses at random.
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.keepalive_time_ms", _milliseconds(KEEPALIVE_SECONDS)),
    ("grpc.keepalive_timeout_ms", _milliseconds(KEEPALIVE_TIMEOUT_SECONDS)),
    # The transport waits for a ping's answer by a clock of its own, 60 s unless told; the shorter one decides.
    ("grpc.http2.ping_timeout_ms", _milliseconds(KEEPALIVE_TIMEOUT_SECONDS)),
    # A quiet stream stays watched: without this, pings cease after two that no message accompanied.
    ("grpc.http2.max_pings_without_data", 0),
)

CHANNEL_OPTIONS = (
    *_BOTH,
    # A channel has a connection of its own. gRPC would let all channels of a process to one address share one: whoever
    # gives up a connection that went silent, and opens another channel, would be back on the silent one.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", _milliseconds(RECONNECT_SECONDS_MIN)),
    ("grpc.min_reconnect_backoff_ms", _milliseconds(RECONNECT_SECONDS_MAX)),
    ("grpc.max_reconnect_backoff_ms", _milliseconds(RECONNECT_SECONDS_MAX)),
)

SERVER_OPTIONS = (
    *_BOTH,
    # Otherwise a second server starts on the same port without a word, and each gets half of the connections.
    ("grpc.so_reuseport", 0),
    # Clients may keep an idle connection alive, and may ping a little more often than ours do (20 s, minus jitter);
    # without both the server takes their keepalive for an attack and closes the connection ("too_many_pings").
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(KEEPALIVE_SECONDS / 2)),
)


def connect(address: str) -> grpc.aio.Channel:
    """Open a plaintext channel to "host:port". Returns at once; the connection is made, and made again, by use."""
    return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
