"""Mail clients that flag, move and delete while mail comes in."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from postamt_sync.demo.dovecot import PrivateDovecot
from tests.dovecot import PASSWORD

PAUSE = 0.3
DELETES = 0.3
"""How often a mail that is looked at is deleted."""
ARCHIVE = "Archive"
OURS = b"From: postamt-sync <"
"""How a mail begins that the daemon itself wrote: an alert."""


class Reader:
    """Acts in a thread of its own until it is closed.

    What it deleted, or may have deleted, is remembered: the mailbox and the mail's bytes.
    """

    def __init__(self, mailboxes: Sequence[str], chance: random.Random) -> None:
        self._mailboxes = mailboxes
        self.chance = chance
        self._closing = threading.Event()
        self.idle = threading.Lock()
        """Held while a client acts; whoever holds it has the Maildirs to itself."""
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self.deleted: set[tuple[str, bytes]] = set()
        self.acts = 0

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def visit(self, mailbox: str) -> None:
        """Act on a few mails of this mailbox."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._closing.wait(PAUSE):
            # A disk that is away is the judge's subject, not the client's.
            with self.idle, suppress(OSError, IMAPClientError):
                self.visit(self.chance.choice(self._mailboxes))


class MaildirReader(Reader):
    """A client that reads the files themselves: it holds nothing open when their disk goes.

    It moves no mail to another folder: a loss of power could undo half of that.
    """

    def __init__(self, maildirs: Mapping[str, Path], chance: random.Random) -> None:
        super().__init__(list(maildirs), chance)
        self._maildirs = maildirs

    def visit(self, mailbox: str) -> None:
        root = self._maildirs[mailbox]
        found = [path for part in ("new", "cur") for path in sorted((root / part).iterdir())]
        for path in self.chance.sample(found, min(3, len(found))):
            body = path.read_bytes()
            if self.chance.random() < DELETES and not body.startswith(OURS):
                self.deleted.add((mailbox, body))
                path.unlink()
            else:
                path.rename(root / "cur" / f"{path.name.partition(':')[0]}:2,S")
            self.acts += 1


class ImapReader(Reader):
    """Clients of a real Dovecot."""

    def __init__(
        self, imap: PrivateDovecot, mailboxes: Sequence[str], chance: random.Random
    ) -> None:
        super().__init__(mailboxes, chance)
        self._imap = imap
        self._acts = [self._flag, self._delete, self._move]

    def visit(self, mailbox: str) -> None:
        with IMAPClient(self._imap.host, self._imap.port, ssl=False, timeout=10) as client:
            client.login(mailbox, PASSWORD)
            client.select_folder("INBOX")
            uids = client.search("NOT DELETED")
            for uid in self.chance.sample(uids, min(3, len(uids))):
                self.chance.choice(self._acts)(client, mailbox, uid)
                self.acts += 1

    def _flag(self, client: IMAPClient, mailbox: str, uid: int) -> None:
        client.add_flags([uid], [b"\\Seen"])

    def _move(self, client: IMAPClient, mailbox: str, uid: int) -> None:
        if not client.folder_exists(ARCHIVE):
            client.create_folder(ARCHIVE)
        client.move([uid], ARCHIVE)

    def _delete(self, client: IMAPClient, mailbox: str, uid: int) -> None:
        body = client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
        if not body.startswith(OURS):
            self.deleted.add((mailbox, body))
            client.delete_messages([uid])
            client.expunge([uid])
