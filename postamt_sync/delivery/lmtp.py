"""Handing a copy to Dovecot over LMTP, for mailboxes whose owner wants Sieve.

The protocol is that of a Maildir with one step exchanged: a copy waits in `tmp/` of a spool beside
the ledger, and where it would be renamed, Dovecot is given it and the file removed once Dovecot has
answered 250. So the missing file is the proof here too. LMTP knows no names by which it would
recognise a copy: what is cut off between the answer and the durable removal, a matter of
milliseconds, comes a second time. Never less than once, and twice only there.
"""

from __future__ import annotations

import contextlib
import math
import re
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from postamt_sync.backoff import CircuitBreaker
from postamt_sync.config.folder import is_nameable
from postamt_sync.delivery.disk import Disk, HeldDirectory, disk_trouble
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.marker import Marker
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable

PATIENCE = 30.0
"""Seconds that Dovecot may take for an answer."""

FAIL_FAST = 10.0
"""Seconds after a failed connection in which none is tried: mail for others must not queue up."""

CHUNK = 64 << 10
LONGEST_HEAD = 4096

_RETURN_PATH = re.compile(
    rb"^Return-Path:[ \t]*<([\x21-\x3b=\x3f-\x7e]{0,320})>[ \t]*\r?$", re.MULTILINE
)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_DOT_ATOM = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*", re.ASCII)
"""What needs no quotes; other signs of an atom (RFC 5321, 4.1.2) get them all the same."""


class Lmtp:
    """An LMTP server: the path of a socket, or a host and a port. Blocking; one mail at a time."""

    def __init__(
        self, host: str, port: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = host
        self._port = port
        self._alone = threading.Lock()
        self._breaker = CircuitBreaker(clock, longest=FAIL_FAST)

    def deliver(self, path: Path, recipient: str, folder: str) -> None:
        """Hand Dovecot one mail for one recipient; durable in the mailbox on return.

        `folder` is asked for with the address (RFC 5233, subaddress); a Sieve script may decide
        otherwise. Raises TryLaterError for every failure: a refusal of Dovecot's own is a matter
        of its configuration, and the mail is not to blame.
        """
        with self._alone:
            if self._breaker.trouble is not None and self._breaker.is_open:
                raise self._breaker.trouble
            try:
                with path.open("rb") as file:
                    self._transact(file, recipient, folder)
            except smtplib.SMTPResponseException as error:
                self._breaker.succeeded()  # it answers, though not as hoped
                raise _refused(error, recipient) from error
            except (OSError, smtplib.SMTPException) as error:
                trouble = TryLaterError(
                    f"Dovecot's LMTP at {printable(self._place)} does not take mail: "
                    f"{printable(str(error) or type(error).__name__)}.",
                    "See whether dovecot-lmtpd is installed and running; the mail waits.",
                )
                self._breaker.failed(trouble)
                raise trouble from error
            self._breaker.succeeded()

    @property
    def _place(self) -> str:
        return f"{self._host}:{self._port}" if self._port else self._host

    def _transact(self, file: BinaryIO, recipient: str, folder: str) -> None:
        """One recipient a transaction: to more, LMTP gives an answer each after the mail."""
        sender = _sender(file.read(LONGEST_HEAD))
        file.seek(0)
        address = _address(recipient, folder)
        client = smtplib.LMTP(self._host, self._port, "localhost", timeout=PATIENCE)
        try:
            client.command_encoding = "utf-8"
            _expect(client.docmd("LHLO", "localhost"), 250)
            _expect(client.docmd("MAIL", f"FROM:<{sender}>"), 250)
            _expect(client.docmd("RCPT", f"TO:<{address}>"), 250)
            _expect(client.docmd("DATA"), 354)
            for chunk in _dotted(file):
                client.send(chunk)
            _expect(client.getreply(), 250)
            # From here on it is delivered, however badly the connection ends.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                client.putcmd("QUIT")
        finally:
            client.close()


class Spool(Maildir):
    """Copies that wait to be handed over, in `tmp/` of a directory of their own."""

    hands_over = True
    swept_after = math.inf

    def __init__(self, root: Path, disk: Disk, lmtp: Lmtp, recipient: str) -> None:
        super().__init__(root, disk)
        self._lmtp = lmtp
        self._recipient = recipient

    def mark(self) -> Marker | None:
        """A spool has no marker: what is lost here was never delivered."""
        return None

    def open_folder(self, folder: str) -> None:
        """Nothing to make: folders are Dovecot's."""

    def has_folder(self, folder: str) -> bool:  # noqa: ARG002 - Maildir's
        """Dovecot makes it where it is missing."""
        return True

    def existing_folder(self, wanted: str) -> str:  # noqa: ARG002 - Maildir's
        """Sieve does with a tag what its owner wants."""
        return ""

    def publish(
        self,
        stem: str,
        folder: str,
        name: str,  # noqa: ARG002 - Maildir's
        at: HeldDirectory | None = None,  # noqa: ARG002 - Maildir's
    ) -> None:
        """Hand the copy over and remove it; that is durable after `sync_published`."""
        draft = self.root / "tmp" / stem
        self._lmtp.deliver(draft, self._recipient, folder)
        try:
            self._disk.unlink(draft)
        except OSError as error:
            raise disk_trouble(error, draft) from error

    def sync_published(self, folder: str, part: str = "new") -> None:  # noqa: ARG002 - Maildir's
        """Return once the removal is durable."""
        self.sync_tmp()

    def holds(self, stem: str) -> bool:  # noqa: ARG002 - Maildir's
        """Nothing of ours is in the mailbox by name."""
        return False


def _sender(head: bytes) -> str:
    """Return the envelope's sender, which SES writes on top of a mail; "" where it is unknown."""
    block = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    found = _RETURN_PATH.search(block)
    return found[1].decode("ascii") if found else ""


def _address(recipient: str, folder: str) -> str:
    """Return the recipient with the folder as its detail, quoted where need be.

    What is not ASCII goes as it is: Dovecot 2.4 takes it, and 2.3 says no. Raises TryLaterError for
    what would be no address: without its folder a mail with a virus would be in the INBOX.
    """
    if folder and not (folder.isprintable() and is_nameable(folder.split("/"))):
        raise TryLaterError(
            f"Dovecot knows no folder that is called {printable(folder)}.",
            "Choose another name for it in the table [delivery].",
        )
    local, at, domain = recipient.rpartition("@")
    if not at:
        local, domain = domain, ""
    if folder:
        local = f"{local}+{folder}"
    if not _DOT_ATOM.fullmatch(local):
        local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
    return f"{local}{at}{domain}"


def _dotted(file: BinaryIO) -> Iterator[bytes]:
    """Yield a mail as it goes over the line, to its final dot (RFC 5321, sections 2.3.8, 4.5.2).

    A bare line feed becomes a line end: Dovecot would take it for one or, since 2.4, wait forever
    for the end of the mail.
    """
    last = b"\n"
    while chunk := file.read(CHUNK):
        split = last == b"\r" and chunk.startswith(b"\n")
        text = b"\n" + _BARE_LF.sub(b"\r\n", chunk[1:]) if split else _BARE_LF.sub(b"\r\n", chunk)
        begin = b"." if last == b"\n" and text.startswith(b".") else b""
        yield begin + text.replace(b"\n.", b"\n..")
        last = chunk[-1:]
    yield b".\r\n" if last == b"\n" else b"\r\n.\r\n"


def _expect(answer: tuple[int, bytes], code: int) -> None:
    if answer[0] != code:
        raise smtplib.SMTPResponseException(*answer)


def _refused(error: smtplib.SMTPResponseException, recipient: str) -> TryLaterError:
    said = error.smtp_error
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    return TryLaterError(
        f"Dovecot's LMTP refuses mail for {printable(recipient)}: "
        f"{error.smtp_code} {printable(words.strip())}",
        "Look at Dovecot's log: journalctl -u dovecot",
    )
