"""Dovecot's lists of ours, in its passwd-file format: where mailboxes lie, passwords, SES users.

A line is `user:password:uid:gid:gecos:home:shell:fields`. The first list follows the
configuration; the others are edited line by line, and lines that are not ours stay as they are.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from typing import Literal

import bcrypt

from postamt_sync.errors import UsageError
from postamt_sync.host.dovecot.description import DovecotService, MailAccount, Version
from postamt_sync.host.logins import spellings

SCHEME = "{BLF-CRYPT}"

_HASH = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}", re.ASCII)


_SENDER = re.compile(r"\buserdb_submission_relay_user=(\S+) userdb_submission_relay_password=(\S+)")

COST = 10
"""Rounds of bcrypt as a power of two: a twentieth of a second on a PC, a fifth on a Raspberry Pi,
and Dovecot computes it at every login of every client."""

SHORTEST = 8

LONGEST = 71
"""Octets. bcrypt sees no more than 72, the end of the password among them: one of 72 would be
opened by any longer one that begins with it."""

FORMS: dict[Literal["NFC", "NFD"], str] = {"NFC": "/NFC", "NFD": "/NFD"}
"""Forms of Unicode in which devices send one and the same password (UAX #15), each with what its
line has behind the mailbox's name: in capitals, which no login has any more that is looked up."""

_ESCAPED = re.compile(r"(['\"\\])")
"""What Dovecot puts a backslash before when it looks for a login in a list."""

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
        logins = [spelling for login in account.logins for spelling in spellings(login)]
        lines += [f"{_key(login)}:::::{place} user={account.name}" for login in logins]
        # Two steps before the one with the passwords need a word each that they are none.
        domains = [spelling for domain in account.domains for spelling in spellings(f"@{domain}")]
        lines += [f"{d}:::::{place} user={account.name} noauthenticate=y" for d in domains]
    return "\n".join(lines) + "\n"


def with_password(
    passwords: str, name: str, hashed: str, others: Mapping[str, str] | None = None
) -> str:
    """Return the list of passwords with a line for this mailbox, in the place of an older one.

    `hashed` is a bcrypt hash, and so are the `others`, as `other_forms` returns them; anything else
    is a bug, and would end up in a file.
    """
    lines = {name: hashed} | {f"{name}{suffix}": h for suffix, h in (others or {}).items()}
    if not all(map(_HASH.fullmatch, lines.values())):
        raise AssertionError("not a bcrypt hash")
    stale = {f"{name}{suffix}" for suffix in FORMS.values()}
    text = "".join(f"{line}\n" for line in passwords.splitlines() if _name(line) not in stale)
    for key, value in lines.items():
        text = _with_line(text, key, f"{key}:{SCHEME}{value}::::::")
    return text


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


def sender_fields(senders: str) -> dict[str, tuple[str, str]]:
    """Return user and password at SES of each mailbox that has its own."""
    found: dict[str, tuple[str, str]] = {}
    for line in senders.splitlines():
        fields = _SENDER.search(line)
        if fields and not line.startswith("#"):
            found.setdefault(_name(line), (fields[1], fields[2]))
    return found


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


def _key(login: str) -> str:
    return _ESCAPED.sub(r"\\\1", login)


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
    if len(password) < SHORTEST:
        raise UsageError(
            f"The password has fewer than {SHORTEST} characters, and the world may guess at it.",
            "Take a longer one, or let one be made with: --generate",
        )
    longest = max(len(_octets(form)) for form in (password, *_others(password).values()))
    if longest > LONGEST:
        raise UsageError(
            f"The password has {longest} octets as devices send it, and the hash takes {LONGEST}.",
            "Take a shorter one.",
        )
    if not password.isprintable():
        raise UsageError(
            "The password has a character that cannot be typed.", "Take it out and try again."
        )
    return _hash(password)


def other_forms(password: str) -> dict[str, str]:
    """Return the hashes of the same password as other devices send it, by the ends of their lines.

    There are none for ASCII.
    """
    return {suffix: _hash(form) for suffix, form in _others(password).items()}


def _others(password: str) -> dict[str, str]:
    forms = {suffix: unicodedata.normalize(form, password) for form, suffix in FORMS.items()}
    return {suffix: form for suffix, form in forms.items() if form != password}


def _hash(password: str) -> str:
    return bcrypt.hashpw(_octets(password), bcrypt.gensalt(COST)).decode("ascii")


def _octets(password: str) -> bytes:
    return password.encode(errors="surrogateescape")
