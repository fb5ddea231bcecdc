"""The user that the service runs as: the one whose mail Dovecot serves, so that both can write
it."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from postamt_sync.config import Settings
from postamt_sync.config.command import typed
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.host.directories import ROOT, owner_of
from postamt_sync.threads import ask_disk

ANSWER_SECONDS = 20


@dataclass(frozen=True, slots=True)
class MailUser:
    """The user, and how it was found, in words."""

    name: str
    why: str

    @property
    def group(self) -> str:
        """The user's primary group."""
        return group_of(self.name)


def group_of(user: str) -> str:
    """Return a user's primary group; for a user yet to be created, it will have the same name."""
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user


def mail_user(settings: Settings, wanted: str, dovecot: Callable[[], str]) -> MailUser:
    """Return the `wanted` user, else home.mail_user, the Maildirs' owner, or Dovecot's.

    If home.mail_user is not set, its default comes last instead. `dovecot` returns Dovecot's
    mail_uid, empty if there is none. Raises MisconfiguredError if the Maildirs belong to several
    users, or to root.
    """
    usual = settings.home.mail_user
    if wanted:
        return MailUser(_no_root(wanted), "as you said")
    if settings.origin("home.mail_user") != "default":
        return MailUser(_no_root(usual), "is home.mail_user")
    owners = _owners([mailbox.maildir for mailbox in settings.mailboxes])
    if len(owners) > 1:
        raise MisconfiguredError(
            f"The Maildirs belong to several users: {', '.join(sorted(owners))}.",
            "Give them all to Dovecot's mail user (chown -R), or name one user with --user.",
        )
    if owners:
        return MailUser(_no_root(owners.pop()), "owns the Maildirs")
    if told := dovecot():
        return MailUser(_no_root(_name(told)), "is Dovecot's mail_uid")
    return MailUser(usual, "is created if it is missing")


def refuse_root(settings: Settings, verb: str) -> None:
    """Raise MisconfiguredError if we are root and a Maildir or the state directory is, or will be
    created below, another user's.

    The owner could not touch what root writes there. `verb` is what was typed, for the command to
    suggest.
    """
    if os.geteuid() != ROOT:
        return
    maildirs = [m.maildir for m in settings.mailboxes if m.delivery == "maildir"]
    for path in (*maildirs, settings.state_dir):
        owner = ask_disk(partial(_whose, path), ROOT)  # if the disk hangs, allow it
        if owner != ROOT:
            name = _known(owner)
            raise MisconfiguredError(
                f"{path} belongs to {name}, and root must not deliver there.",
                f"Run it as that user: sudo -u {shlex.quote(name)} {typed(verb, settings.source)}",
            )


def _whose(path: Path) -> int:
    """Return the owner of a path or, if it does not exist, of its closest existing parent."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            return place.stat().st_uid
    return ROOT


def _known(uid: int) -> str:
    """Return a user's name; without one, the number in the form that sudo accepts."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def ask_dovecot() -> str:
    """Return mail_uid from Dovecot's configuration; empty if it is not set."""
    doveconf = shutil.which("doveconf", path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    return _said([doveconf, "-h", "mail_uid"]) if doveconf else ""


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()


def _owners(maildirs: Sequence[Path]) -> set[str]:
    found = set()
    for path in maildirs:
        try:
            # Only an existing directory proves anything. A link does not, because whoever made it
            # chose where it leads.
            owner = owner_of(path) if path.exists() else None
        except OSError:
            continue
        if owner is not None:
            found.add(_name(str(owner)))
    return found


def _name(user: str) -> str:
    """Return the name of a user given by name or number."""
    if not user.isdecimal():
        return user
    try:
        return pwd.getpwuid(int(user)).pw_name
    except KeyError:
        raise MisconfiguredError(
            f"The mail belongs to user {user}, who has no name on this machine.",
            "Make the user, or name another with --user.",
        ) from None


def _no_root(user: str) -> str:
    if user in {"root", "0"}:
        raise MisconfiguredError(
            "The Maildirs belong to root, and the service does not run as root.",
            "Give them to Dovecot's mail user: chown -R postamt-sync: MAILDIR",
        )
    if not user.replace("-", "").replace("_", "").replace(".", "").isalnum() or user[0] == "-":
        raise UsageError(f"{user!r} cannot be a user's name.", "Use a name such as postamt-sync.")
    return user
