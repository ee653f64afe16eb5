"""Where an input came from: carried by the input and by every event that it leads to."""

from dataclasses import dataclass


@dataclass(slots=True)
class Cause:
    """Where an input came from; every event that it leads to carries it.

    A client's: `principal`, `client_id` and `command_id`. A broker's: `broker` and `broker_seq` (0: not in the
    broker's log).
    """

    principal: str = ""
    client_id: str = ""
    command_id: str = ""
    broker: str = ""
    broker_seq: int = 0
