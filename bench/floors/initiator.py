"""The bare road of an order to a FIX venue: a QuickFIX initiator in Python that keeps a number of orders in flight.

Ends when the venue has filled them all, and prints orders a second, from the first that was sent to the last fill. Its
session keeps its messages in files, as every session that is to survive its process does.
"""

import argparse
import sys
import threading
import time
from datetime import UTC, datetime

import quickfix as fix

from bench.orders import SYMBOL
from pitline_rpc.errors import StartupError

RUN_SECONDS_MAX = 60.0
_BEGIN_STRING = "FIX.4.4"
_EXECUTION_REPORT = "8"
_MSG_TYPE = 35


class Initiator(fix.Application):
    """Sends the next order whenever the venue has filled one. Callbacks run on QuickFIX's thread."""

    def __init__(self, session_id: fix.SessionID, orders: int) -> None:
        super().__init__()
        self.logged_on = threading.Event()
        self.done = threading.Event()
        self._session_id = session_id
        self._orders = orders
        self._sent = self._filled = 0
        self._prefix = f"B{time.time_ns()}-"
        self._entered = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"

    def send(self) -> None:
        """One more order, if there is one."""
        if self._sent == self._orders:
            return
        self._sent += 1
        fields = (
            f"11={self._prefix}{self._sent}", "21=1", f"55={SYMBOL}", "54=1", "38=1", "40=2", "44=100", "59=0",
            f"60={self._entered}",
        )  # fmt: skip
        text = "\x01".join((f"8={_BEGIN_STRING}", "35=D", *fields, ""))
        fix.Session.sendToTarget(fix.Message(text, False), self._session_id)

    def onCreate(self, _: fix.SessionID) -> None:
        """Nothing."""

    def onLogon(self, _: fix.SessionID) -> None:
        """The session stands."""
        self.logged_on.set()

    def onLogout(self, _: fix.SessionID) -> None:
        """Nothing."""

    def toAdmin(self, message: fix.Message, _: fix.SessionID) -> None:
        """Nothing."""

    def fromAdmin(self, message: fix.Message, _: fix.SessionID) -> None:
        """Nothing."""

    def toApp(self, message: fix.Message, _: fix.SessionID) -> None:
        """Nothing."""

    def fromApp(self, message: fix.Message, _: fix.SessionID) -> None:
        """A fill."""
        if message.getHeader().getField(_MSG_TYPE) == _EXECUTION_REPORT:
            self._filled += 1
            self.send()
            if self._filled == self._orders:
                self.done.set()


def main() -> int:
    """One run; the exit code."""
    parser = argparse.ArgumentParser(prog="initiator")
    parser.add_argument("--port", required=True)
    parser.add_argument("--folder", required=True, help="of the session's files")
    parser.add_argument("--sender", required=True, help="SenderCompID")
    parser.add_argument("--target", required=True, help="TargetCompID")
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    asked = parser.parse_args()
    session_id = fix.SessionID(_BEGIN_STRING, asked.sender, asked.target)
    texts = {
        "ConnectionType": "initiator", "SocketConnectHost": "127.0.0.1", "SocketConnectPort": asked.port,
        "SocketNodelay": "Y", "HeartBtInt": "30", "ReconnectInterval": "1", "FileStorePath": asked.folder,
        "UseDataDictionary": "N", "NonStopSession": "Y",
    }  # fmt: skip
    dictionary = fix.Dictionary()
    for name, text in texts.items():
        dictionary.setString(name, text)
    settings = fix.SessionSettings()
    settings.set(session_id, dictionary)
    venue = Initiator(session_id, asked.orders)
    initiator = fix.SocketInitiator(venue, fix.FileStoreFactory(settings), settings)
    initiator.start()
    try:
        if not venue.logged_on.wait(RUN_SECONDS_MAX):
            raise StartupError("the venue takes no logon")
        began = time.perf_counter()
        for _ in range(asked.in_flight):
            venue.send()
        if not venue.done.wait(RUN_SECONDS_MAX):
            raise StartupError(f"not all of {asked.orders} orders are filled after {RUN_SECONDS_MAX:.0f} s")
        print(asked.orders / (time.perf_counter() - began))
    finally:
        initiator.stop(True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
