"""A filter over ids that are in the archive, so that an id that is not there costs no look into a file.

Kept by the compaction with each snapshot, and in memory by `recall.py`. Invariant: an id that was added is found; one
that was not is found now and then, and then the archive is asked in vain.
"""

import zlib

from ems_service.limits import ID_FILTER_BITS

assert ID_FILTER_BITS & (ID_FILTER_BITS - 1) == 0, "a power of two"


class IdFilter:
    """A set of ids, one bit each. Of a fixed size, whatever is added."""

    __slots__ = ("_mask", "bits")

    def __init__(self, bits: bytes = b"") -> None:
        """`bits`: as an earlier filter had them; empty for one without ids."""
        self.bits = bytearray(bits) if bits else bytearray(ID_FILTER_BITS // 8)
        self._mask = 8 * len(self.bits) - 1

    def add(self, key: bytes) -> None:
        """The key is in the archive."""
        bit = zlib.crc32(key) & self._mask
        self.bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, key: bytes) -> bool:
        """Whether the key may be in the archive."""
        bit = zlib.crc32(key) & self._mask
        return bool(self.bits[bit >> 3] >> (bit & 7) & 1)


def client_key(principal: str, client_id: str, client_order_id: str) -> bytes:
    """What stands for an order's id as its owner gave it."""
    return f"{principal}\0{client_id}\0{client_order_id}".encode()


def execution_key(account: str, exec_id: str) -> bytes:
    """What stands for an execution."""
    return f"{account}\0{exec_id}".encode()
