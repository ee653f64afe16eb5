"""What is malformed in an open or in a watch is refused with the reason and the field; what is well formed arrives."""

from collections.abc import Callable

import grpc
import pytest

from ems_service.publisher import View
from ems_service.servicers.opening import Token
from ems_service.servicers.subscription import Opening, opening_of, watching_of
from pitline.ems.v1 import command_pb2
from pitline.ems.v1.command_pb2 import Open
from pitline.ems.v1.trading_service_pb2 import WatchRequest
from pitline_rpc.status import Refused

OWN, ACCOUNTS = command_pb2.View.SCOPE_OWN, command_pb2.View.SCOPE_ACCOUNTS
MEGABYTE = "A" * 1024 * 1024
CYRILLIC_A = "\N{CYRILLIC SMALL LETTER A}"
NO_ID = [
    ("a lice", "MALFORMED"),
    (f"{CYRILLIC_A}lice", "MALFORMED"),
    ("alice\n", "MALFORMED"),
    ("A" * 65, "MALFORMED"),
    (MEGABYTE, "TOO_LARGE"),
]


def test_an_open_arrives() -> None:
    message = Open(client_id="alice", journal_id="TESTJRNL", resume_after_seq=41, heartbeat_seconds=60)
    message.on_disconnect = command_pb2.ON_DISCONNECT_KEEP
    expected = Opening(View("local", "alice"), Token("TESTJRNL", 41), 60)
    assert opening_of(message, "local") == expected


def test_an_open_of_a_client_alone_begins_with_a_snapshot_of_its_own() -> None:
    expected = Opening(View("local", "alice"), Token("", 0), 0)
    assert opening_of(Open(client_id="alice"), "local") == expected
    assert opening_of(Open(client_id="alice", view=command_pb2.View(scope=OWN)), "local") == expected


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [([], frozenset[str]()), (["paper.main", "paper.alt"], frozenset({"paper.main", "paper.alt"}))],
)
def test_a_view_of_accounts_arrives(accounts: list[str], expected: frozenset[str]) -> None:
    view = command_pb2.View(scope=ACCOUNTS, accounts=accounts)
    assert opening_of(Open(client_id="alice", view=view), "local").view.accounts == expected
    assert watching_of(WatchRequest(view=view), "local").view == View("local", "", expected)


def test_a_watch_with_filters_arrives() -> None:
    message = WatchRequest(client_id="alice", symbols=["X-USD", "Y-USD"], client_ids=["bob"], heartbeat_seconds=1)
    view = View("local", "alice", None, frozenset({"X-USD", "Y-USD"}), frozenset({"bob"}))
    assert watching_of(message, "local") == Opening(view, Token("", 0), 1)


@pytest.mark.parametrize(
    ("message", "reason", "field"),
    [
        (Open(), "REQUIRED", "client_id"),
        *((Open(client_id=value), reason, "client_id") for value, reason in NO_ID),
        *((Open(client_id="A", journal_id=value), reason, "journal_id") for value, reason in NO_ID),
        (Open(client_id="A", resume_after_seq=1), "UNSUPPORTED", "resume_after_seq"),
        (Open(client_id="A", heartbeat_seconds=61), "OUT_OF_RANGE", "heartbeat_seconds"),
        (Open(client_id="A", heartbeat_seconds=2**32 - 1), "OUT_OF_RANGE", "heartbeat_seconds"),
        (Open(client_id="A", on_disconnect=99), "UNKNOWN_VALUE", "on_disconnect"),  # pyright: ignore[reportArgumentType]
        (Open(client_id="A", on_disconnect=-1), "UNKNOWN_VALUE", "on_disconnect"),  # pyright: ignore[reportArgumentType]
        (Open(client_id="A", disconnect_grace_seconds=5), "UNSUPPORTED", "disconnect_grace_seconds"),
        (Open(client_id="A", disconnect_includes_dark=True), "UNSUPPORTED", "disconnect_includes_dark"),
        (Open(client_id="A", view=command_pb2.View(accounts=["paper.main"])), "UNSUPPORTED", "view.accounts"),
        (Open(client_id="A", view=command_pb2.View(scope=99)), "UNKNOWN_VALUE", "view.scope"),  # pyright: ignore[reportArgumentType]
        (Open(client_id="A", view=command_pb2.View(scope=-1)), "UNKNOWN_VALUE", "view.scope"),  # pyright: ignore[reportArgumentType]
        *(
            (
                Open(client_id="A", view=command_pb2.View(scope=ACCOUNTS, accounts=["paper.main", value])),
                reason,
                "view.accounts",
            )
            for value, reason in [("", "REQUIRED"), ("main", "MALFORMED"), (MEGABYTE, "TOO_LARGE")]
        ),
    ],
)
def test_a_malformed_open_is_refused(message: Open, reason: str, field: str) -> None:
    refused = _refused(lambda: opening_of(message, "local"))
    assert (refused.code, refused.reason, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, reason, f"open.{field}")


@pytest.mark.parametrize(
    ("message", "reason", "field"),
    [
        (WatchRequest(), "REQUIRED", "client_id"),
        *((WatchRequest(client_id=value), reason, "client_id") for value, reason in NO_ID),
        *(
            (WatchRequest(client_id=value, view=command_pb2.View(scope=ACCOUNTS)), reason, "client_id")
            for value, reason in NO_ID
        ),
        *((WatchRequest(client_id="A", journal_id=value), reason, "journal_id") for value, reason in NO_ID),
        (WatchRequest(client_id="A", resume_after_seq=1), "UNSUPPORTED", "resume_after_seq"),
        (WatchRequest(client_id="A", heartbeat_seconds=61), "OUT_OF_RANGE", "heartbeat_seconds"),
        (WatchRequest(client_id="A", symbols=["X-USD", ""]), "REQUIRED", "symbols"),
        (WatchRequest(client_id="A", symbols=["X USD"]), "MALFORMED", "symbols"),
        (WatchRequest(client_id="A", symbols=[MEGABYTE]), "TOO_LARGE", "symbols"),
        (WatchRequest(client_id="A", client_ids=["bob", ""]), "REQUIRED", "client_ids"),
        (WatchRequest(client_id="A", client_ids=["b b"]), "MALFORMED", "client_ids"),
        (WatchRequest(client_id="A", view=command_pb2.View(scope=99)), "UNKNOWN_VALUE", "view.scope"),  # pyright: ignore[reportArgumentType]
        (WatchRequest(client_id="A", view=command_pb2.View(accounts=["paper.main"])), "UNSUPPORTED", "view.accounts"),
    ],
)
def test_a_malformed_watch_is_refused(message: WatchRequest, reason: str, field: str) -> None:
    refused = _refused(lambda: watching_of(message, "local"))
    assert (refused.code, refused.reason, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, reason, field)


def test_every_field_of_an_open_and_of_a_watch_is_tried() -> None:
    assert {field.name for field in Open.DESCRIPTOR.fields} == {
        "client_id", "journal_id", "resume_after_seq", "view", "on_disconnect", "disconnect_grace_seconds",
        "disconnect_includes_dark", "heartbeat_seconds",
    }  # fmt: skip
    assert {field.name for field in WatchRequest.DESCRIPTOR.fields} == {
        "client_id", "journal_id", "resume_after_seq", "view", "symbols", "client_ids", "heartbeat_seconds",
    }  # fmt: skip


def _refused(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value
