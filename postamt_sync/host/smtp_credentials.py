"""Credentials for SES's SMTP server, read from the file that `bootstrap` wrote."""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable
from postamt_sync.regular_file import read_small

SECTION = "smtp"

_USER = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{40,100}={0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SmtpCredentials:
    """An SMTP user name and password of SES: the id of an access key, and base64."""

    user: str
    password: str = field(repr=False)


def read_credentials(path: Path, known: Sequence[Path] = ()) -> SmtpCredentials:
    """Return the credentials in the file. Raises MisconfiguredError, which never shows its
    contents.

    `known` are files that bootstrap may have written, to suggest if this is not one.
    """
    others = [printable(str(one), 4096) for one in known if one != path.absolute()]
    perhaps = f" Bootstrap has written: {', '.join(others)}." if others else ""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_small(path, links=True, pipes=True).decode())
    except OSError as error:
        raise MisconfiguredError(
            f"{path} cannot be read: {error.strerror}.",
            "Name the file that postamt-sync bootstrap wrote for mail clients, and use sudo."
            + perhaps,
        ) from None
    except (UnicodeDecodeError, configparser.Error):
        parser = configparser.ConfigParser(interpolation=None)
    user = parser.get(SECTION, "username", fallback="")
    password = parser.get(SECTION, "password", fallback="")
    if not _USER.fullmatch(user) or not _PASSWORD.fullmatch(password):
        raise MisconfiguredError(
            f"{path} does not hold SMTP credentials of SES.",
            "Name one with a section [smtp], username and password, as bootstrap writes it."
            + perhaps,
        )
    return SmtpCredentials(user, password)
