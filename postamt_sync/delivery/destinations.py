"""Who gets which mail and where it lies, as the configuration says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from postamt_sync.config import LiveSettings, Mailbox, Settings
from postamt_sync.config.folder import SENT
from postamt_sync.config.listen import parse_listen
from postamt_sync.config.verdict_folders import verdict_folders
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.lmtp import Lmtp
from postamt_sync.delivery.mailboxes import Handover, Mailboxes
from postamt_sync.errors import UndeliverableError
from postamt_sync.events import printable
from postamt_sync.ledger.work import Work
from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.routing import Addressee, Routes, VerdictFolders
from postamt_sync.mail.sent_mail import is_sent, read_sent_key

_LOGIN = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Destinations:
    """Routes, mailboxes and folders of one configuration.

    `envelope_grace` in seconds after S3 stored the mail.
    """

    routes: Routes
    mailboxes: Mailboxes
    folders: VerdictFolders
    """With `/` between levels."""
    envelope_grace: float
    tagged: frozenset[str] = frozenset()
    """Mailboxes in which a tag means a folder."""
    delivered_to: bool = False
    """Whether a copy begins with the field Delivered-To."""
    log_addresses: bool = False
    """Whether a terminal is shown whom a mail is from."""
    has_index: bool = False
    """Whether an index may know the envelopes that no receipt has told."""
    prefix: str = "incoming/"
    """Where in the bucket lies what comes."""

    def folder(self, verdicts: Verdicts) -> str:
        """Return where a mail with these verdicts goes; "" is the INBOX."""
        return self.folders.of(verdicts)

    def sender(self, key: str) -> str | None:
        """Return the mailbox that sent this mail in the webmail; None: it is one that came.

        Raises UndeliverableError where the key names no mailbox of ours.
        """
        if not is_sent(key, self.prefix):
            return None
        sent = read_sent_key(key)
        if sent is None:
            raise UndeliverableError(
                "It lies where the webmail keeps what was sent, and its key is none of the "
                "webmail's.",
                f"See who put {printable(key)} into the bucket; nothing of it is delivered.",
            )
        if sent.mailbox not in self.mailboxes:
            raise UndeliverableError(
                f"It was sent in the webmail by {printable(sent.mailbox, 80)}, and no mailbox of "
                "this name is configured.",
                "If it is to come home, name the mailbox under [[mailboxes]], then: "
                "postamt-sync quarantine retry --all",
            )
        return sent.mailbox

    def grace_left(self, last_modified: float) -> float:
        """Return the seconds for which the envelope of a mail that S3 stored then may still come.

        Never less than 0, and never more than the grace: this machine's clock may be years behind.
        """
        left = last_modified + self.envelope_grace - time.time()
        return max(0.0, min(self.envelope_grace, left))


def configured_destinations(
    settings: Settings, work: Work, disk: Disk | None = None, kept: Sequence[Mailbox] = ()
) -> Destinations:
    """Return routes, Maildirs and folders of one configuration; touches no disk.

    `kept` are mailboxes that the configuration no longer names and that still get their mail.
    """
    # Of two mailboxes with one address the first wins: what is configured now.
    addressees = [Addressee(m.name, m.addresses, m.default) for m in settings.mailboxes]
    addressees += [Addressee(m.name, m.addresses, default=False) for m in kept]
    delivery = settings.delivery
    configured = asdict(verdict_folders(delivery))
    folders = {name: folder.replace(".", "/") for name, folder in configured.items()}
    roots = [(m.name, m.maildir) for m in (*settings.mailboxes, *kept)]
    return Destinations(
        routes=Routes(addressees),
        mailboxes=Mailboxes(
            *(roots, work, disk or Disk(), {*folders.values(), SENT}, _handover(settings, kept))
        ),
        folders=VerdictFolders(**folders),
        envelope_grace=settings.effective_envelope_grace,
        has_index=bool(settings.index.table),
        tagged=frozenset(m.name for m in (*settings.mailboxes, *kept) if m.tag_folders),
        delivered_to=delivery.delivered_to_header,
        log_addresses=delivery.log_addresses,
        prefix=settings.bucket.prefix,
    )


class LiveDestinations:
    """The destinations of the settings in force, made again after those were replaced."""

    def __init__(self, live: LiveSettings, work: Work) -> None:
        self._live = live
        self._work = work
        self._lock = threading.Lock()
        self._made_of: Settings | None = None
        self._made: Destinations | None = None

    def current(self) -> Destinations:
        """Return them, the same ones until the next reload; mail on its way keeps what it has."""
        with self._lock:
            settings = self._live.current
            if self._made is None or self._made_of is not settings:
                self._made = configured_destinations(settings, self._work, kept=self._live.kept)
                self._made_of = settings
            return self._made


def _handover(settings: Settings, kept: Sequence[Mailbox]) -> Handover:
    server = settings.delivery.lmtp
    if server.startswith("/"):
        lmtp = Lmtp(server)
    else:
        address = parse_listen(server)
        lmtp = Lmtp(address.host, address.port)
    by_lmtp = [m for m in (*settings.mailboxes, *kept) if m.delivery == "lmtp"]
    recipients = {mailbox.name: _lmtp_recipient(mailbox) for mailbox in by_lmtp}
    return Handover(lmtp, settings.state_dir / "lmtp", recipients)


def _lmtp_recipient(mailbox: Mailbox) -> str:
    """Return as whom Dovecot knows a mailbox: its first address fit for a login, or its name."""
    return next((a for a in mailbox.addresses if _LOGIN.fullmatch(a)), mailbox.name)
