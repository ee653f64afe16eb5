"""What QuickFIX keeps of a session: sequence numbers, and every message that it has sent.

Read and set before the session begins, when no one else has the files open. Two questions are answered here that the
adapter's own store cannot answer alone: which of the requests that were about to leave got into the session before the
process died; and from which message on the venue must say again what was heard and not stored.
Invariant: a request is said to be unsent only when the session, as it was when the request was stored, never had it.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import quickfix as fix

from broker_adapters.fix.core.message import Tag, parse
from broker_adapters.fix.store import Place

_SECRET = re.compile(rb"(\x01554=)([^\x01]+)")


_LOGON_WITHIN_BYTES = 256 * 1024
"""From the end: a Logon that was not hidden yet is among the last messages, for nothing follows it but other Logons."""


class SessionFiles:
    """The files of one session in `folder`."""

    def __init__(self, folder: Path, session_id: fix.SessionID) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._session_id = session_id
        names = (session_id.getBeginString(), session_id.getSenderCompID(), session_id.getTargetCompID())
        self._stem = "-".join(name.getString() for name in names)
        self._store()  # makes the files of a session that is new
        self.hide_secrets()

    @property
    def era(self) -> str:
        """When the sequence numbers of now began."""
        return (self._folder / f"{self._stem}.session").read_text().strip()

    def sent_since(self, sent_from: Place) -> set[str] | None:
        """ClOrdIDs of the messages that the session has had since then; None: the numbers began anew, and with them
        its memory."""
        if sent_from.era != self.era:
            return None
        store, messages = self._store(), fix.VectorString()
        # What was written under the next number never counted: the number moves before anything is sent.
        store.get(sent_from.seq_num, store.getNextSenderMsgSeqNum() - 1, messages)
        return {parse(text).get(Tag.CL_ORD_ID) for text in messages}

    def hear_again(self, heard: Place) -> None:
        """Have the session expect what follows the last message that was stored: what came after that, and was lost
        with the process, is asked for again at the logon. Too much does no harm."""
        store = self._store()
        from_seq_num = heard.seq_num + 1 if heard.era == self.era else 1
        if from_seq_num < store.getNextTargetMsgSeqNum():
            store.setNextTargetMsgSeqNum(from_seq_num)

    def hide_secrets(self) -> None:
        """Overwrite the passwords of the Logons that QuickFIX has stored with everything it sent; it sends no Logon
        again."""
        path = self._folder / f"{self._stem}.body"
        if not path.exists():
            return
        with path.open("r+b") as body:
            begins = max(0, path.stat().st_size - _LOGON_WITHIN_BYTES)
            body.seek(begins)
            for found in _SECRET.finditer(body.read()):
                body.seek(begins + found.start(2))
                body.write(b"*" * len(found[2]))

    def _store(self) -> fix.FileStore:
        return fix.FileStore(fix.UtcTimeStamp(), str(self._folder), self._session_id)


def only_for_us(folders: Iterable[Path]) -> None:
    """What is written from now on is nobody else's to read."""
    os.umask(0o077)
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
