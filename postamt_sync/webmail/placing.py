"""Whose mail an entry of the index is, and whether it is junk, by the daemon's routing."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from postamt_sync.index.entry import IndexEntry
from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.headers import ses_headers
from postamt_sync.webmail.mail_store import MailClosedError, MailGoneError, MailStore
from postamt_sync.webmail.sessions import WebSession

SES_LINES = 16 << 10
"""Bytes of a mail in which SES's own fields are."""
REMEMBERED = 2_000
"""For how many mails without a receipt the recipient in their Received is remembered."""


class Placing:
    """Places mails by their envelopes. Mail without an envelope is for the user who sees all."""

    def __init__(self, handed: HandedRoutes, store: MailStore) -> None:
        self._handed = handed
        self._store = store
        self._received: OrderedDict[tuple[str, str | None], str | None] = OrderedDict()
        self._lock = Lock()

    @property
    def routes(self) -> HandedRoutes:
        """The routes by which mail is placed."""
        return self._handed

    def sees(self, session: WebSession, entry: IndexEntry) -> bool:
        """Tell whether a session may see this mail."""
        mailboxes = self.mailboxes(entry)
        return session.mailbox in mailboxes or (session.sees_all and not mailboxes)

    def mailboxes(self, entry: IndexEntry) -> tuple[str, ...]:
        """Return the mailboxes that get a mail by its envelope; none if no envelope is known.

        To and Cc are written by the sender and do not count.
        """
        if entry.recipients or entry.received_for is not None:
            received = entry.received_for.recipient if entry.received_for else None
        else:
            received = self._recipient(entry)
        return self._handed.mailboxes(sorted(entry.recipients), received or None)

    def is_junk(self, entry: IndexEntry) -> bool:
        """Tell whether the daemon delivers this mail to another folder than the INBOX."""
        accepted = entry.acceptance
        return self._handed.is_junk(accepted.verdicts if accepted else Verdicts())

    def _recipient(self, entry: IndexEntry) -> str | None:
        """Return the recipient in SES's own Received, None also if it cannot be read."""
        which = (entry.key, entry.stored.etag if entry.stored else None)
        with self._lock:
            if which in self._received:
                return self._received[which]
        try:
            ses = ses_headers(self._store.head(entry.key, SES_LINES), entry.key)
        except MailClosedError:
            return None  # it may be possible to open it next time
        except MailGoneError:
            ses = None
        recipient = ses.recipient if ses else None
        with self._lock:
            self._received[which] = recipient
            while len(self._received) > REMEMBERED:
                self._received.popitem(last=False)
        return recipient
