"""Our lists for Dovecot, in its passwd-file format: places of mailboxes, passwords, SES users.

A line is `user:password:uid:gid:gecos:home:shell:fields`. The first list is made from the
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
"""log2 of bcrypt's rounds: a twentieth of a second on a PC, a fifth on a Raspberry Pi. Dovecot
computes it at every login of every client."""

SHORTEST = 8

LONGEST = 71
"""Bytes. bcrypt ignores all after the 72nd, the terminating zero included: for a password of 72,
any longer one that begins with it would be accepted."""

FORMS: dict[Literal["NFC", "NFD"], str] = {"NFC": "/NFC", "NFD": "/NFD"}
"""The Unicode forms in which devices send the same password (UAX #15), each with the suffix of the
name in its line. It is in capitals, because logins are in lower case when they are looked up."""

_ESCAPED = re.compile(r"(['\"\\])")
"""Characters that Dovecot escapes with a backslash when it looks up a login."""

BOOTSTRAP = "bootstrap"

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without l, 1, o and 0: passwords are read from a screen and typed into a phone."""

_GROUPS = 4

_GROUP = 5


def mailboxes(service: DovecotService, version: Version) -> str:
    """Return the list of mailboxes with their places, and of the logins that lead to each."""
    lines = [
        "# Where each mailbox lies, and the addresses by which its owner may log in. No passwords.",
        "# name:::::home::fields",
    ]
    for account in service.accounts:
        place = f"{account.home}::{_place(account, version)}"
        lines.append(f"{account.name}:::::{place}")
        # `user` is for logging in, the place for LMTP, which needs nothing else.
        logins = [spelling for login in account.logins for spelling in spellings(login)]
        lines += [f"{_key(login)}:::::{place} user={account.name}" for login in logins]
        # Each of the two steps before the passwords must say that it does not authenticate.
        domains = [spelling for domain in account.domains for spelling in spellings(f"@{domain}")]
        lines += [f"{d}:::::{place} user={account.name} noauthenticate=y" for d in domains]
    return "\n".join(lines) + "\n"


def with_password(
    passwords: str, name: str, hashed: str, others: Mapping[str, str] | None = None
) -> str:
    """Return the list of passwords with a line for this mailbox, in place of an older one.

    `hashed` and the `others`, which are as `other_forms` returns them, are bcrypt hashes. Anything
    else is a bug and raises AssertionError, lest a password be written in plain text.
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
    """Return the list of SES users with a line for this mailbox, in place of an older one.

    The caller has checked user and password: they contain only letters, digits and + / =. A user
    made by bootstrap is marked in the gecos field, which Dovecot ignores: such lines are also
    removed when bootstrap no longer has the user.
    """
    fields = f"userdb_submission_relay_user={user} userdb_submission_relay_password={password}"
    made_by = BOOTSTRAP if by_bootstrap else ""
    return _with_line(senders, name, f"{name}::::{made_by}:::{fields}")


def without_sender(senders: str, name: str) -> str:
    """Return the list of SES users without this mailbox."""
    lines = [line for line in senders.splitlines() if _name(line) != name]
    return "".join(f"{line}\n" for line in lines)


def senders_by_bootstrap(senders: str) -> tuple[str, ...]:
    """Return the mailboxes whose SES users were made by bootstrap."""
    fields = [line.split(":", 5) for line in senders.splitlines()]
    return tuple(one[0] for one in fields if len(one) > 4 and one[4] == BOOTSTRAP)


def sender_fields(senders: str) -> dict[str, tuple[str, str]]:
    """Return user and password at SES, by mailbox, of those that have their own."""
    found: dict[str, tuple[str, str]] = {}
    for line in senders.splitlines():
        fields = _SENDER.search(line)
        if fields and not line.startswith("#"):
            found.setdefault(_name(line), (fields[1], fields[2]))
    return found


def has_line(text: str, name: str) -> bool:
    """Whether a list, of passwords or SES users, has a line for this mailbox."""
    return any(_name(line) == name for line in text.splitlines())


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
    # Without the second, the INBOX would be the folder .INBOX, to which nothing is delivered.
    return f"userdb_mail_path={account.maildir} userdb_mail_inbox_path={account.maildir}"


def generated() -> str:
    """Return a new password of 100 random bits, in groups that are easy to type."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def hashed(password: str) -> str:
    """Return the salted bcrypt hash. Raises UsageError for a password that cannot be used."""
    if len(password) < SHORTEST:
        raise UsageError(
            f"The password has fewer than {SHORTEST} characters, and anybody may try to guess it.",
            "Use a longer one, or have one generated with: --generate",
        )
    longest = max(len(_octets(form)) for form in (password, *_others(password).values()))
    if longest > LONGEST:
        raise UsageError(
            f"The password has {longest} bytes as devices send it; the hash takes only {LONGEST}.",
            "Use a shorter one.",
        )
    if not password.isprintable():
        raise UsageError(
            "The password has a character that cannot be typed.", "Leave it out and try again."
        )
    return _hash(password)


def other_forms(password: str) -> dict[str, str]:
    """Return the hashes of the password's other Unicode forms, by the suffixes in FORMS.

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
