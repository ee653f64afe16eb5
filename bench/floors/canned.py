"""Bytes made once, and patched with what differs from order to order.

A pattern is a real message, encoded, with fillers of the right length where the patches go: the lengths inside it are
right, and a patched copy is one `%` away. Invariant: a patch is as long as its filler.
"""

from collections.abc import Iterator, Sequence

SEQ_FILLER = 2**28 - 1
"""Fills the place of a seq: the largest number of four bytes on the wire."""

_SEQ_FILLER_BYTES = b"\xff\xff\xff\x7f"
_LOW = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(2**14)]
_HIGH = [bytes((n & 127 | 128, n >> 7)) for n in range(2**14)]


def seqs() -> Iterator[bytes]:
    """1, 2, 3 … on the wire, each padded to four bytes, which every reader accepts."""
    endless = (low + high for high in _HIGH for low in _LOW)
    next(endless)  # 0 is no seq
    return endless


def pattern(encoded: bytes, fillers: Sequence[str] = ()) -> bytes:
    """A message as a format for `%`: seqs and fillers become %b. Patches go in the order of their places."""
    made = encoded.replace(b"%", b"%%").replace(_SEQ_FILLER_BYTES, b"%b")
    for filler in fillers:
        made = made.replace(filler.encode(), b"%b")
    return made
