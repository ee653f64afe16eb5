"""Exit codes, and which error ends in which.

| code | meaning                                                                             |
|------|-------------------------------------------------------------------------------------|
| 0    | done                                                                                |
| 1    | unexpected; also a server of `up` that died, or a case of `conform` that failed     |
| 2    | usage: an argument is malformed, out of bounds, missing or ambiguous                |
| 3    | denied or refused by the EMS                                                        |
| 4    | rejected by the broker                                                              |
| 5    | not found: order, account, symbol                                                   |
| 6    | not in time; what is known by then is printed, and the order stands                 |
| 7    | the EMS is unreachable; nobody is there whom `conform` may test                     |
| 130  | interrupted                                                                         |
"""

from enum import IntEnum

import grpc

from pitline_client import (
    AmbiguousSymbolError,
    CallRefusedError,
    PitlineError,
    RefusedError,
    UnknownSymbolError,
    UnreachableError,
)


class ExitCode(IntEnum):
    """What `pitline` exits with, and means by it."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    REFUSED = 3
    REJECTED = 4
    NOT_FOUND = 5
    TIMED_OUT = 6
    UNREACHABLE = 7


EPILOG = """
Exit codes: 0 done · 1 unexpected · 2 usage · 3 denied or refused by the EMS · 4 rejected by the broker ·
5 not found · 6 not in time · 7 EMS unreachable · 130 interrupted
"""

_BY_STATUS = {
    grpc.StatusCode.NOT_FOUND: ExitCode.NOT_FOUND,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitCode.TIMED_OUT,
    grpc.StatusCode.INTERNAL: ExitCode.UNEXPECTED,
    grpc.StatusCode.UNKNOWN: ExitCode.UNEXPECTED,
    grpc.StatusCode.UNIMPLEMENTED: ExitCode.UNEXPECTED,
}


def exit_code_of(error: PitlineError) -> ExitCode:
    """The code that an error of the client library ends in."""
    match error:
        case UnreachableError():
            return ExitCode.UNREACHABLE
        case CallRefusedError():
            return _BY_STATUS.get(error.code, ExitCode.REFUSED)
        case RefusedError():
            return ExitCode.REFUSED
        case UnknownSymbolError():
            return ExitCode.NOT_FOUND
        case AmbiguousSymbolError():
            return ExitCode.USAGE
        case _:
            return ExitCode.UNEXPECTED
