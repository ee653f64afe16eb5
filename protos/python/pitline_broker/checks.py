"""The form of what an EMS says, field by field. What has none ends the stream, with the field named.

Called by whoever reads a message. Invariant: text of the wire is repeated only shortened.
"""

import re
from collections.abc import Sequence

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from pitline.broker.v1.request_pb2 import DURABILITY_FLUSH, DURABILITY_FSYNC, Hello
from pitline_broker.limits import EPOCH_MAX, NAME_LENGTH_MAX, TIME_SECONDS_MAX
from pitline_rpc.status import Refused

_REF = re.compile(r"[A-Z0-9]{1,20}")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def invalid(reason: str, field: str, text: str) -> Refused:
    """INVALID_ARGUMENT that names the field; `reason` as in pitline.types.v1.Reason, without the prefix."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, reason, f"{field}: {text}", field=field)


def out_of_sequence(field: str, text: str) -> Refused:
    """FAILED_PRECONDITION: this does not come now."""
    return Refused(grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_SEQUENCE", text, field=field)


def shown(text: str) -> str:
    """A text of the wire as an error may repeat it."""
    return repr(text[:NAME_LENGTH_MAX])


def check_ref(ref: str, field: str) -> str:
    """A ref. Raises Refused for what is none."""
    if not _REF.fullmatch(ref):
        raise invalid("MALFORMED", field, f"{shown(ref)} is not of [A-Z0-9]{{1,20}}")
    return ref


def check_refs(order_refs: Sequence[str], field: str) -> None:
    """Raises Refused for the first that is none."""
    for i, order_ref in enumerate(order_refs):
        check_ref(order_ref, f"{field}[{i}]")


def check_symbol(symbol: str, field: str) -> str:
    """A symbol that may be one; whether it is one here is another question. Raises Refused."""
    if not symbol:
        raise invalid("REQUIRED", field, "no symbol")
    if len(symbol) > NAME_LENGTH_MAX:
        text = f"{shown(symbol)} has {len(symbol)} characters, more than {NAME_LENGTH_MAX}"
        raise invalid("MALFORMED", field, text)
    return symbol


def check_hello(hello: Hello) -> None:
    """Raises Refused for a hello that is malformed."""
    for name, text in (("ems_id", hello.ems_id), ("journal_id", hello.journal_id)):
        if not _NAME.fullmatch(text):
            raise invalid("MALFORMED", f"hello.{name}", f"{shown(text)} is not of [A-Za-z0-9._:-]{{1,64}}")
    if not 1 <= hello.epoch <= EPOCH_MAX:
        raise invalid("OUT_OF_RANGE", "hello.epoch", f"{hello.epoch} is not in 1 .. {EPOCH_MAX}")
    if hello.durability not in (DURABILITY_FSYNC, DURABILITY_FLUSH):
        raise invalid("UNKNOWN_VALUE", "hello.durability", f"{hello.durability} is neither FSYNC nor FLUSH")
    if hello.start_id and not _NAME.fullmatch(hello.start_id):
        raise invalid("MALFORMED", "hello.start_id", f"{shown(hello.start_id)} is not of [A-Za-z0-9._:-]{{1,64}}")
    if hello.begin_at_head and hello.HasField("last_broker_seq"):
        raise invalid("MALFORMED", "hello.begin_at_head", "with a last_broker_seq the log begins after that")
    check_refs(hello.open_refs, "hello.open_refs")


def time_ns(value: Timestamp, field: str) -> int:
    """A moment, ns since 1970, > 0. Raises Refused for one that a store cannot hold."""
    name = field.rpartition(".")[2]
    if not 0 <= value.nanos < 1_000_000_000:
        raise invalid("MALFORMED", field, f"{name} has {value.nanos} nanos, not 0 to 999999999")
    if not 0 < value.seconds <= TIME_SECONDS_MAX:
        raise invalid("OUT_OF_RANGE", field, f"{name} {value.seconds} s is not in 1 .. {TIME_SECONDS_MAX}")
    return value.ToNanoseconds()
