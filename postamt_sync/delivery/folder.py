"""Folders of a Maildir++: their directory's name on disk (Courier's Maildir++; RFC 3501, 5.1.3).

`Junk` is the directory `.Junk` in the mailbox's root, `Lists/announce` is `.Lists.announce`, and
what is not ASCII is modified UTF-7, which both Dovecot 2.3 and 2.4 use on disk by default.
"""

from __future__ import annotations

import base64
import re

from postamt_sync.config.folder import LONGEST_DIRECTORY, directory_name
from postamt_sync.errors import MisconfiguredError

_SHIFTED = re.compile("&([^-]*)-")


def folder_name(folder: str) -> str:
    """Return the folder's name as Dovecot lists it on disk (modified UTF-7, levels joined by `.`).

    `/` separates levels. Raises MisconfiguredError for a name that no Maildir++ can hold.
    """
    levels = folder.split("/")
    if not all(levels) or any(not c.isprintable() or c == "." for c in folder):
        raise MisconfiguredError(
            f"The folder {folder!r} cannot be kept in a Maildir.",
            "Use printable letters without a dot, levels separated by one slash: Junk, Lists/Club",
        )
    name = directory_name(levels)
    if len(name) > LONGEST_DIRECTORY:
        raise MisconfiguredError(
            f"The folder name {folder!r} is too long for a directory.", "Choose a shorter one."
        )
    return name


def folder_of(name: str) -> str | None:
    """Return the folder of a directory's name without its dot; None if we would name it otherwise.

    The inverse of `folder_name`, levels separated by `/`.
    """
    try:
        folder = "/".join(_SHIFTED.sub(_unshifted, level) for level in name.split("."))
        return folder if folder_name(folder) == name else None
    except (ValueError, MisconfiguredError):  # no Base64, no UTF-16, no folder
        return None


def _unshifted(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    padded = match[1] + "=" * (-len(match[1]) % 4)
    return base64.b64decode(padded, altchars=b"+,", validate=True).decode("utf-16-be")
