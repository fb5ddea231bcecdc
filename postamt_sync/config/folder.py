"""Folders that an option may name: those that fit on the disk, and that Dovecot can name too.

What a folder's directory is called is Courier's Maildir++ (RFC 3501, 5.1.3): `Junk` is `.Junk` in
the mailbox's root, `Lists.announce` is `.Lists.announce`, and what is not ASCII is modified UTF-7.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

INBOX = "INBOX"
SENT = "Sent"
"""Where mail lies that its owner has sent, at home and in the Dovecot files that we write."""
LONGEST_NAME = 80
"""Characters."""
LONGEST_DIRECTORY = 200
"""Bytes of a folder's directory name; file systems end at 255, clients add to what we make."""


def normalised_folder(text: str) -> str:
    """Return the name of a folder in its one spelling, a dot between levels.

    "" and the INBOX itself, in whatever case, stay as they are. Raises ValueError with a sentence
    that starts with "must".
    """
    if not text or is_inbox(text):
        return text
    if not text.isprintable() or text != text.strip() or len(text) > LONGEST_NAME:
        raise ValueError(
            f"must be printable, without blanks around it, at most {LONGEST_NAME} characters long."
        )
    if "/" in text or not all(text.split(".")):
        raise ValueError("must be a folder's name without /; a dot stands between levels.")
    first, dot, more = text.partition(".")
    text = f"{INBOX if is_inbox(first) else first}{dot}{more}"
    if not is_nameable(text.split(".")):
        raise ValueError("must not begin with ~, for Dovecot knows no such folder.")
    if (octets := len(directory_name(text.split(".")))) > LONGEST_DIRECTORY:
        raise ValueError(
            f"must be shorter: encoded as on the disk it has {octets} octets, and "
            f"{LONGEST_DIRECTORY} are the most."
        )
    return text


def is_inbox(name: str) -> bool:
    """Whether it is the INBOX (RFC 9051, 5.1: in whatever case, and ASCII alone)."""
    return name.isascii() and name.upper() == INBOX


def is_nameable(levels: list[str]) -> bool:
    """Whether Dovecot lets a client name a folder whose directory there is.

    `~` at the beginning is a user's home to it, and of a first level that is the INBOX it knows one
    spelling.
    """
    if levels == [INBOX] or (is_inbox(levels[0]) and levels[0] != INBOX):
        return False
    return not levels[0].startswith("~")


def directory_name(levels: list[str]) -> str:
    """Return what a folder is called on the disk, without the dot at its beginning."""
    return ".".join("".join(_modified_utf7(level)) for level in levels)


def _modified_utf7(text: str) -> Iterator[str]:
    pending = ""
    for character in text:
        if " " <= character <= "~":
            yield _shifted(pending)
            pending = ""
            yield "&-" if character == "&" else character
        else:
            pending += character
    yield _shifted(pending)


def _shifted(text: str) -> str:
    if not text:
        return ""
    encoded = base64.b64encode(text.encode("utf-16-be"), altchars=b"+,").decode().rstrip("=")
    return f"&{encoded}-"
