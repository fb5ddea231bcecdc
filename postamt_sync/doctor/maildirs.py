"""The Maildirs: there, the daemon's own, writable, and where Dovecot looks."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from postamt_sync.config import Mailbox, Settings
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.host.dovecot.conf import BASE
from postamt_sync.host.dovecot.description import FOUND_IN
from postamt_sync.ledger.ledger import was_there_once

PARTS = ("tmp", "new", "cur")
AUTH_SOCKET = Path(BASE, "auth-userdb")
"""Where doveadm asks Dovecot's auth process about users."""
SECONDS = 10.0
NO_USER = 67
"""EX_NOUSER of sysexits.h, with which doveadm ends where Dovecot knows no such user."""


@dataclass(frozen=True, slots=True)
class MaildirCheck:
    """Does a mailbox belong to the daemon's user, and can it be written?

    Root may write anywhere: then only the owner tells.
    """

    mailbox: Mailbox
    user: str
    was_there: Callable[[Path], bool]

    @property
    def subject(self) -> str:
        return f"mailbox {self.mailbox.name}"

    def look(self) -> Iterable[Finding]:
        root = self.mailbox.maildir
        try:
            root.stat()
        except FileNotFoundError:
            yield self._missing(root)
            return
        places = [root, *(root / part for part in PARTS if (root / part).exists())]
        uid = self._uid()
        for place in places:
            found = place.stat()
            if found.st_uid != uid:
                words = f"{place} belongs to {_name(found.st_uid)}, not to {_name(uid)}."
                remedy = f"Give it back: sudo chown -R {_name(uid)} {root}"
                yield Finding(self.subject, Severity.FAILURE, words, remedy)
                return
            if found.st_mode & 0o300 != 0o300 or not _may_write(place, uid):
                words = f"{place} cannot be written."
                remedy = f"Check whether its disk is read-only; else: sudo chmod u+rwx {place}"
                yield Finding(self.subject, Severity.FAILURE, words, remedy)
                return
        yield Finding(self.subject, Severity.OK, f"{root} is {_name(uid)}'s own, and writable.")

    def _missing(self, root: Path) -> Finding:
        if self.was_there(root):
            words = f"{root} was there once and is gone: its mail waits."
            return Finding(self.subject, Severity.FAILURE, words, "Mount its disk.")
        words = f"{root} is not there yet; it is made for its first mail."
        return Finding(self.subject, Severity.OK, words)

    def _uid(self) -> int:
        """Return whose it is to be: the mail user's, or ours where there is no such user."""
        try:
            return pwd.getpwnam(self.user).pw_uid
        except KeyError:
            return os.geteuid()


@dataclass(frozen=True, slots=True)
class LmtpCheck:
    """Does Dovecot take mail over LMTP for a mailbox that gets it that way? `server` is a socket's
    path, or host:port."""

    mailbox: Mailbox
    server: str

    @property
    def subject(self) -> str:
        return f"mailbox {self.mailbox.name}"

    def look(self) -> Iterable[Finding]:
        try:
            with self._connected() as connection:
                greeting = connection.recv(256)
        except OSError as error:
            words = f"Nothing takes mail at {self.server}: {error.strerror or error}."
            remedy = "Start Dovecot with LMTP; see: postamt-sync dovecot --help"
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
            return
        if greeting.startswith(b"220"):
            yield Finding(self.subject, Severity.OK, f"{self.server} speaks LMTP.")
        else:
            words = f"{self.server} does not speak LMTP."
            yield Finding(self.subject, Severity.FAILURE, words, "Check delivery.lmtp.")

    def _connected(self) -> socket.socket:
        if not self.server.startswith("/"):
            host, _, port = self.server.rpartition(":")
            return socket.create_connection((host.strip("[]"), int(port)), 5)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        try:
            connection.connect(self.server)
        except OSError:
            connection.close()
            raise
        return connection


@dataclass(frozen=True, slots=True)
class DovecotMailboxCheck:
    """Does Dovecot read where we deliver? `user` returns what `doveadm user NAME` prints, None
    where there is no Dovecot; it raises PermissionError where we may not ask."""

    mailbox: Mailbox
    user: Callable[[str], str | None]

    @property
    def subject(self) -> str:
        return f"Dovecot {self.mailbox.name}"

    def look(self) -> Iterable[Finding]:
        name, root = self.mailbox.name, self.mailbox.maildir
        try:
            said = self.user(name)
        except PermissionError:
            words = "Dovecot does not say to this user where it reads."
            remedy = "Run it with sudo to check this too."
            yield Finding(self.subject, Severity.WARNING, words, remedy)
            return
        if said is None:
            words = "There is no Dovecot on this machine, or it does not run."
            remedy = "Set it up with: postamt-sync dovecot --write"
            yield Finding(self.subject, Severity.WARNING, words, remedy)
            return
        places = list(_places(said))
        if root in places:
            yield Finding(self.subject, Severity.OK, f"Dovecot reads {root}.")
            return
        where = printable(str(places[0])) if places else "no place that we know"
        words = f"Mail is delivered to {root}, and Dovecot reads {where}."
        remedy = "Write its lists again: sudo postamt-sync dovecot --write"
        yield Finding(self.subject, Severity.FAILURE, words, remedy)


def mailboxes(
    settings: Settings, doveadm: Callable[[str], str | None]
) -> Iterator[MaildirCheck | LmtpCheck | DovecotMailboxCheck]:
    """Yield the checks of every mailbox."""
    was_there = partial(was_there_once, settings.state_dir)
    for mailbox in settings.mailboxes:
        if mailbox.delivery == "maildir":
            yield MaildirCheck(mailbox, settings.home.mail_user, was_there)
        else:
            yield LmtpCheck(mailbox, settings.delivery.lmtp)
        yield DovecotMailboxCheck(mailbox, doveadm)


def doveadm_user(name: str, command: Sequence[str] = (), auth: Path = AUTH_SOCKET) -> str | None:
    """Return what Dovecot knows of a mailbox; None where there is no Dovecot, or it does not run.

    `command` is doveadm with its options, otherwise the installed one; `auth` is the socket of the
    process that it asks. Raises PermissionError where only root may ask, TryLaterError where
    Dovecot knows no such mailbox.
    """
    if not command:
        program = shutil.which("doveadm") or shutil.which("doveadm", path=FOUND_IN)
        if program is None:
            return None
        command = (program,)
    done = subprocess.run(  # noqa: S603 - a program that was looked up, no shell
        [*command, "user", name], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode == 0:
        return done.stdout
    if done.returncode == NO_USER:
        raise TryLaterError(
            f"Dovecot knows no mailbox {printable(name)}.",
            "Write its lists again: sudo postamt-sync dovecot --write",
        )
    if not _answers(auth):
        return None
    said = f"{done.stdout}\n{done.stderr}".strip()
    raise TryLaterError(
        f"Dovecot does not say where it reads: {printable(said, 200)}.", "Look at: doveconf -n"
    )


def _answers(path: Path) -> bool:
    """Tell whether someone listens at a socket; raises PermissionError where we may not ask."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.connect(str(path))
        except PermissionError:
            raise
        except OSError:
            return False
    return True


def _places(said: str) -> Iterator[Path]:
    """Find where mail lies in what doveadm prints: `mail` in Dovecot 2.3, `mail_path` in 2.4."""
    for line in said.splitlines():
        name, _, value = line.partition("\t")
        if name.strip() in {"mail", "mail_path"}:
            yield Path(value.strip().removeprefix("maildir:").partition(":")[0])


def _may_write(place: Path, uid: int) -> bool:
    """Tell what the system says, where we are that user or root; only root's word on a read-only
    disk is worth anything for others."""
    return os.access(place, os.W_OK | os.X_OK) if os.geteuid() in {0, uid} else True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
