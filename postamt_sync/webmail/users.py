"""The users who may sign in: mailboxes by name, with the hashes of their secrets."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from postamt_sync.errors import UsageError
from postamt_sync.webmail.record_table import Fields, RecordTable
from postamt_sync.webmail.secret import COST, SecretHash

HOLDER = "user"
LONGEST_NAME = 200
"""Characters. Longer names are not looked up."""
_PAGE = 100


@dataclass(frozen=True, slots=True)
class WebmailUser:
    """One mailbox that may sign in.

    `sees_all`: it also sees mail without an envelope. `round` is a random number that changes
    whenever all of its sessions have to end. `since` is in seconds since 1970.
    """

    mailbox: str
    secret: SecretHash
    sees_all: bool = False
    round: int = 0
    since: int = 0

    @property
    def fields(self) -> dict[str, str | int]:
        """The fields of its record."""
        return {
            "secret": str(self.secret),
            "sees_all": int(self.sees_all),
            "round": self.round,
            "since": self.since,
        }


class WebmailUsers:
    """The users in the webmail's table."""

    def __init__(
        self,
        table: RecordTable,
        clock: Callable[[], float],
        cost: int = COST,
        command: Callable[[str], str] = "postamt-sync webmail user {}".format,
    ) -> None:
        """`cost` is that of hashing secrets. `command` returns what to type for a verb."""
        self._command = command
        self._table = table
        self._clock = clock
        self._cost = cost
        self._nobody = SecretHash.of("nobody", cost)

    def find(self, mailbox: str) -> WebmailUser | None:
        """Return the user as it is now, None if this mailbox may not sign in."""
        if not mailbox or len(mailbox) > LONGEST_NAME or not _is_text(mailbox):
            return None
        fields = self._table.get(HOLDER, mailbox)
        return None if fields is None else _user(mailbox, fields)

    def typed(self, mailbox: str) -> WebmailUser | None:
        """Return the user for a name that a person typed, None if there is none."""
        return self.find(unicodedata.normalize("NFC", mailbox.strip()))

    def signed_in(self, mailbox: str, secret: str) -> WebmailUser | None:
        """Return the user with this name and secret, or None after the same time."""
        user = self.typed(mailbox)
        fits = (user.secret if user else self._nobody).fits(secret)
        return user if user is not None and fits else None

    def everyone(self) -> Iterator[WebmailUser]:
        """Yield all users, in the order of their names."""
        after = ""
        while True:
            page = self._table.names(HOLDER, most=_PAGE, after=after)
            for name, fields in page.found:
                yield _user(name, fields)
            if not (after := page.after):
                return

    def add(self, mailbox: str, secret: str, *, sees_all: bool = False) -> None:
        """Let a mailbox sign in. Raises UsageError if it may already, or if another sees all."""
        other = next((u.mailbox for u in self.everyone() if u.sees_all), None)
        if sees_all and other is not None and other != mailbox:
            raise UsageError(
                f"The mailbox {other} already sees all mail, and only one mailbox may.",
                f"Remove it first: {self._command(f'remove {other}')}",
            )
        user = self._made(mailbox, secret, sees_all=sees_all)
        if not self._table.put(HOLDER, mailbox, user.fields, expect=None):
            raise UsageError(
                f"The mailbox {mailbox} may sign in already.",
                f"Give it another secret with: {self._command(f'rotate {mailbox}')}",
            )

    def rotate(self, mailbox: str, secret: str) -> None:
        """Set another secret, and end every session under the old one. Raises UsageError."""
        user = self._known(mailbox)
        renewed = self._made(mailbox, secret, sees_all=user.sees_all)
        self._table.put(HOLDER, mailbox, renewed.fields)

    def end_sessions(self, mailbox: str) -> None:
        """End every session of a mailbox."""
        self._table.update(HOLDER, mailbox, {"round": _drawn()}, expect={})

    def remove(self, mailbox: str) -> None:
        """Stop a mailbox from signing in, and end its sessions. Raises UsageError."""
        self._known(mailbox)
        self._table.delete(HOLDER, mailbox)

    def _made(self, mailbox: str, secret: str, *, sees_all: bool) -> WebmailUser:
        return WebmailUser(
            mailbox,
            SecretHash.of(secret, self._cost),
            sees_all=sees_all,
            round=_drawn(),
            since=int(self._clock()),
        )

    def _known(self, mailbox: str) -> WebmailUser:
        user = self.find(mailbox)
        if user is None:
            raise UsageError(
                f"The mailbox {mailbox} may not sign in.",
                f"See who may with: {self._command('list')}",
            )
        return user


def _drawn() -> int:
    return secrets.randbits(62)


def _user(mailbox: str, fields: Fields) -> WebmailUser:
    return WebmailUser(
        mailbox,
        SecretHash.read(str(fields["secret"])),
        sees_all=bool(fields.get("sees_all")),
        round=int(fields.get("round", 0)),
        since=int(fields.get("since", 0)),
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
