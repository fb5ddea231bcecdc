"""Dovecot's lists of ours, in its passwd-file format: where mailboxes lie, passwords, SES users.

A line is `user:password:uid:gid:gecos:home:shell:fields`. The first list follows the
configuration; the others are edited line by line, and lines that are not ours stay as they are.
"""

from __future__ import annotations

import re
import secrets

import bcrypt

from postamt_sync.errors import UsageError
from postamt_sync.host.dovecot.description import DovecotService, MailAccount, Version

SCHEME = "{BLF-CRYPT}"

_HASH = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}", re.ASCII)


COST = 10
"""Rounds of bcrypt as a power of two: a twentieth of a second on a PC, a fifth on a Raspberry Pi,
and Dovecot computes it at every login of every client."""

SHORTEST = 8

LONGEST = 72
"""Octets: bcrypt sees no more."""

BOOTSTRAP = "bootstrap"

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""No l and 1, no o and 0: it is read from a screen and typed into a telephone."""

_GROUPS = 4

_GROUP = 5


def mailboxes(service: DovecotService, version: Version) -> str:
    """Return the list of mailboxes, each with its place, and of the addresses that lead to it."""
    lines = [
        "# Where each mailbox lies, and the addresses by which its owner may log in. No passwords.",
        "# name:::::home::fields",
    ]
    for account in service.accounts:
        place = f"{account.home}::{_place(account, version)}"
        lines.append(f"{account.name}:::::{place}")
        # `user` is for logging in, the rest for LMTP, which asks for the place alone.
        lines += [f"{login}:::::{place} user={account.name}" for login in account.logins]
    return "\n".join(lines) + "\n"


def with_password(passwords: str, name: str, hashed: str) -> str:
    """Return the list of passwords with a line for this mailbox, in the place of an older one.

    `hashed` is a bcrypt hash; anything else is a bug, and would end up in a file.
    """
    if not _HASH.fullmatch(hashed):
        raise AssertionError("not a bcrypt hash")
    return _with_line(passwords, name, f"{name}:{SCHEME}{hashed}::::::")


def with_sender(
    senders: str, name: str, user: str, password: str, *, by_bootstrap: bool = False
) -> str:
    """Return the list of SES users with a line for this mailbox, in the place of an older one.

    User and password are checked before: they are letters, digits and + / =. Whether bootstrap made
    the user stands where Dovecot looks for nothing (gecos): such lines come and go with it.
    """
    fields = f"userdb_submission_relay_user={user} userdb_submission_relay_password={password}"
    made_by = BOOTSTRAP if by_bootstrap else ""
    return _with_line(senders, name, f"{name}::::{made_by}:::{fields}")


def without_sender(senders: str, name: str) -> str:
    """Return the list of SES users without this mailbox."""
    lines = [line for line in senders.splitlines() if _name(line) != name]
    return "".join(f"{line}\n" for line in lines)


def senders_by_bootstrap(senders: str) -> tuple[str, ...]:
    """Return the mailboxes whose users bootstrap has made."""
    fields = [line.split(":", 5) for line in senders.splitlines()]
    return tuple(one[0] for one in fields if len(one) > 4 and one[4] == BOOTSTRAP)


def has_sender(senders: str, name: str) -> bool:
    """Tell whether the list has a line for this mailbox."""
    return any(_name(line) == name for line in senders.splitlines())


def has_password(passwords: str, name: str) -> bool:
    """Tell whether the list has a line for this mailbox."""
    return any(_name(line) == name for line in passwords.splitlines())


def _with_line(text: str, name: str, line: str) -> str:
    lines = text.splitlines()
    found = [number for number, old in enumerate(lines) if _name(old) == name]
    for number in reversed(found[1:]):
        del lines[number]  # Dovecot would take the first one, and a person the last
    if found:
        lines[found[0]] = line
    else:
        lines.append(line)
    return "\n".join(lines) + "\n"


def _name(line: str) -> str:
    return line.partition(":")[0]


def _place(account: MailAccount, version: Version) -> str:
    if version is Version.V2_3:
        return f"userdb_mail=maildir:{account.maildir}"
    # Without the second the INBOX would be the folder .INBOX, where nothing is delivered.
    return f"userdb_mail_path={account.maildir} userdb_mail_inbox_path={account.maildir}"


def generated() -> str:
    """Return a new password of 100 random bits, in groups that can be typed."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def hashed(password: str) -> str:
    """Return the salted bcrypt hash; raises UsageError for a password that cannot be used."""
    octets = password.encode(errors="surrogateescape")
    if len(password) < SHORTEST:
        raise UsageError(
            f"The password has fewer than {SHORTEST} characters, and the world may guess at it.",
            "Take a longer one, or let one be made with: --generate",
        )
    if len(octets) > LONGEST:
        raise UsageError(
            f"The password has {len(octets)} octets, and the hash sees only {LONGEST}.",
            "Take a shorter one.",
        )
    if not password.isprintable():
        raise UsageError(
            "The password has a character that cannot be typed.", "Take it out and try again."
        )
    return bcrypt.hashpw(octets, bcrypt.gensalt(COST)).decode("ascii")
