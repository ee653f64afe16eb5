"""A FIX message as tags and texts in wire order, and the tags that are read and written here.

Between the session, which knows QuickFIX, and the core, which knows what a tag means. Invariant: nothing in here judges
a value; a tag that is absent or empty is `""`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Tag(IntEnum):
    """Numbers of the fields, by their FIX names."""

    ACCOUNT = 1
    AVG_PX = 6
    CL_ORD_ID = 11
    COMMISSION = 12
    COMM_TYPE = 13
    CUM_QTY = 14
    EXEC_ID = 17
    EXEC_INST = 18
    EXEC_REF_ID = 19
    EXEC_TRANS_TYPE = 20
    HANDL_INST = 21
    LAST_PX = 31
    LAST_QTY = 32
    MSG_SEQ_NUM = 34
    MSG_TYPE = 35
    ORDER_ID = 37
    ORDER_QTY = 38
    ORD_STATUS = 39
    ORD_TYPE = 40
    ORIG_CL_ORD_ID = 41
    POSS_DUP_FLAG = 43
    PRICE = 44
    REF_SEQ_NUM = 45
    SENDING_TIME = 52
    SIDE = 54
    SYMBOL = 55
    TEXT = 58
    TIME_IN_FORCE = 59
    TRANSACT_TIME = 60
    STOP_PX = 99
    CXL_REJ_REASON = 102
    ORD_REJ_REASON = 103
    TEST_REQ_ID = 112
    EXPIRE_TIME = 126
    RESET_SEQ_NUM_FLAG = 141
    NO_RELATED_SYM = 146
    EXEC_TYPE = 150
    LEAVES_QTY = 151
    MD_REQ_ID = 262
    SUBSCRIPTION_REQUEST_TYPE = 263
    MARKET_DEPTH = 264
    MD_UPDATE_TYPE = 265
    NO_MD_ENTRY_TYPES = 267
    NO_MD_ENTRIES = 268
    MD_ENTRY_TYPE = 269
    MD_ENTRY_PX = 270
    MD_ENTRY_SIZE = 271
    MD_ENTRY_ID = 278
    MD_UPDATE_ACTION = 279
    REF_MSG_TYPE = 372
    BUSINESS_REJECT_REF_ID = 379
    BUSINESS_REJECT_REASON = 380
    CXL_REJ_RESPONSE_TO = 434
    COMM_CURRENCY = 479
    USERNAME = 553
    PASSWORD = 554
    ACCOUNT_TYPE = 581
    MASS_STATUS_REQ_ID = 584
    MASS_STATUS_REQ_TYPE = 585
    NO_POSITIONS = 702
    LONG_QTY = 704
    SHORT_QTY = 705
    POS_REQ_ID = 710
    CLEARING_BUSINESS_DATE = 715
    POS_REQ_TYPE = 724
    TOTAL_NUM_POS_REPORTS = 727
    POS_REQ_RESULT = 728
    SETTL_PX = 730
    LAST_LIQUIDITY_IND = 851


class MsgType(StrEnum):
    """Kinds of message that are read or written here."""

    HEARTBEAT = "0"
    TEST_REQUEST = "1"
    REJECT = "3"
    LOGOUT = "5"
    EXECUTION_REPORT = "8"
    ORDER_CANCEL_REJECT = "9"
    LOGON = "A"
    NEW_ORDER_SINGLE = "D"
    ORDER_CANCEL_REQUEST = "F"
    ORDER_CANCEL_REPLACE_REQUEST = "G"
    ORDER_STATUS_REQUEST = "H"
    MARKET_DATA_REQUEST = "V"
    MARKET_DATA_SNAPSHOT = "W"
    MARKET_DATA_INCREMENTAL = "X"
    MARKET_DATA_REQUEST_REJECT = "Y"
    BUSINESS_MESSAGE_REJECT = "j"
    ORDER_MASS_STATUS_REQUEST = "AF"
    REQUEST_FOR_POSITIONS = "AN"
    REQUEST_FOR_POSITIONS_ACK = "AO"
    POSITION_REPORT = "AP"


Fields = Sequence[tuple[int, str]]
"""Tags and texts in order."""


@dataclass(frozen=True, slots=True)
class Group:
    """A repeating group of a message that is sent; the first tag of each entry is the same."""

    count_tag: int
    entries: tuple[Fields, ...]


@dataclass(frozen=True, slots=True)
class FixMessage:
    """A message. `fields` of one that came holds the header too, and groups as they were sent; `groups` is of one that
    is to be sent."""

    msg_type: str
    fields: Fields
    groups: tuple[Group, ...] = ()

    def get(self, tag: int) -> str:
        """The first field with this tag; "" without one. Whoever reads many asks `dict(fields)`."""
        return next((text for found, text in self.fields if found == tag), "")

    def entries(self, count_tag: int) -> Iterator["FixMessage"]:
        """Entries of a group of a message that came: each begins with the tag that the first begins with. The last one
        also holds what follows the group, which no reader of an entry asks for."""
        after = next((at for at, (tag, _) in enumerate(self.fields, 1) if tag == count_tag), len(self.fields))
        rest = self.fields[after:]
        if not rest:
            return
        starts = [at for at, (tag, _) in enumerate(rest) if tag == rest[0][0]]
        for at, end in zip(starts, [*starts[1:], len(rest)], strict=True):
            yield FixMessage(self.msg_type, rest[at:end])


_LATIN_1 = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
"""QuickFIX hands a byte that is not UTF-8 over as half a surrogate pair, which nothing can store or send. Each stays a
letter of its own: two ids that differ do so still."""


def parse(text: str) -> FixMessage:
    """A message as it came over the line, "8=FIX.4.2␁9=…". What is no field is passed over, and what is not UTF-8 is
    read as Latin-1, as venues write their words."""
    if not text.isascii():
        text = text.translate(_LATIN_1)
    fields = [
        (int(tag), value) for tag, _, value in (item.partition("=") for item in text.split("\x01")) if tag.isdecimal()
    ]
    found = FixMessage("", fields)
    return FixMessage(found.get(Tag.MSG_TYPE), fields)
