"""The files that hold credentials at home: AWS reveals a secret once, and it is stored here.

They are readable by their owner only, and written whole or not at all.
"""

from __future__ import annotations

import configparser
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from postamt_sync import atomic_file
from postamt_sync.aws.smtp import smtp_password, smtp_server
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.owners_rights import make_directories, on_the_way_to
from postamt_sync.regular_file import read_small

SYNC_CREDENTIALS = "credentials"
SMTP_CREDENTIALS = "smtp-credentials"

OWNER = "iam_user"
"""The option with the ARN of the key's user; the AWS SDK ignores it."""
_LARGEST = 65_536
"""Bytes; a credentials file has a few hundred."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a file holds.

    `problem` says why there is no key, as in "FILE is not there". `owner` is empty if the file does
    not name it. Only an `empty` file may be overwritten without a look at its contents.
    """

    key_id: str = ""
    owner: str = ""
    problem: str = ""
    empty: bool = False


class KeyFile(Protocol):
    """A file that holds one access key, in whatever format."""

    @property
    def path(self) -> Path: ...

    @property
    def owner(self) -> str:
        """The ARN of the user whose key belongs in it; empty if not known."""

    def look(self, path: Path | None = None) -> Held:
        """Read the file, or another one of the same format. Never raises."""

    def key_id(self) -> str:
        """Return the id of the key in it; empty if there is no file or no key in it."""

    def on_response(self, answer: Mapping[str, Any]) -> None:
        """Store the key from IAM's answer to CreateAccessKey; durable on return.

        From the first rename on, an interruption leaves the complete key in `pending_path`.
        """


@dataclass(frozen=True, slots=True)
class SyncKeyFile:
    """The AWS SDK's shared credentials file, for the box at home."""

    path: Path
    user: str
    owner: str = ""

    def look(self, path: Path | None = None) -> Held:
        return _look(path or self.path, "default", "aws_access_key_id")

    def key_id(self) -> str:
        return self.look().key_id

    def on_response(self, answer: Mapping[str, Any]) -> None:
        key = answer["AccessKey"]
        _write(
            self.path,
            f"The key of {self.user}, for the box at home: it may read mail and nothing else.",
            "default",
            {
                OWNER: self.owner,
                "aws_access_key_id": key["AccessKeyId"],
                "aws_secret_access_key": key["SecretAccessKey"],
            },
        )


@dataclass(frozen=True, slots=True)
class SmtpKeyFile:
    """What a mail client asks for. The secret from which the password is derived is not kept."""

    path: Path
    stack: Stack
    mailbox: str = ""
    """The mailbox whose user it is; empty for the household's shared one."""

    @property
    def user(self) -> str:
        stack = self.stack
        return stack.smtp_user_of(self.mailbox) if self.mailbox else stack.smtp_user

    @property
    def owner(self) -> str:
        return self.stack.user_arn(self.user)

    def look(self, path: Path | None = None) -> Held:
        return _look(path or self.path, "smtp", "username")

    def key_id(self) -> str:
        return self.look().key_id

    def on_response(self, answer: Mapping[str, Any]) -> None:
        key = answer["AccessKey"]
        server = smtp_server(self.stack.region)
        assert server is not None, "no key is made where there is no server"
        who = f"{self.mailbox} sends" if self.mailbox else "mail clients send"
        _write(
            self.path,
            f"How {who} through SES. Good in {self.stack.region} only.",
            "smtp",
            {
                OWNER: self.owner,
                "server": server.host,
                "port": str(server.implicit_tls[0]),
                "security": "TLS",
                "port_starttls": str(server.starttls[0]),
                "username": key["AccessKeyId"],
                "password": smtp_password(key["SecretAccessKey"], self.stack.region),
            },
        )

    def read(self, path: Path | None = None) -> dict[str, str]:
        """Return the options in the file, or in another of its format; none if it is unreadable."""
        try:
            parser = _parsed(small_text(path or self.path))
        except (OSError, ValueError, configparser.Error):
            return {}
        return dict(parser["smtp"]) if parser.has_section("smtp") else {}


def smtp_credentials(mailbox: str = "") -> str:
    """Return the file name for a mailbox, or for all of them. It is safe: a `MailboxName` cannot
    lead to another directory, and the prefix keeps it from being a hidden file."""
    return f"{SMTP_CREDENTIALS}-{mailbox}" if mailbox else SMTP_CREDENTIALS


def is_smtp_credentials(path: Path) -> bool:
    """Whether a file has a name that we give to SMTP credentials."""
    return path.name == SMTP_CREDENTIALS or path.name.startswith(f"{SMTP_CREDENTIALS}-")


def pending_path(path: Path) -> Path:
    """Return where a key waits until it is in its file, or the intent to create one."""
    return path.with_name(f".{path.name}.pending")


def settle(path: Path) -> None:
    """Rename the pending key to its final name; durable on return. Raises TryLaterError."""
    try:
        with on_the_way_to(path.parent):
            atomic_file.move(pending_path(path), path)
    except OSError as error:
        raise _unwritable(path, error) from error


def replace_file(path: Path, text: str, mode: int = atomic_file.PRIVATE) -> None:
    """Write a file, by default readable by its owner only; durable on return.

    Raises TryLaterError.
    """
    try:
        make_directories(path.parent)
        with on_the_way_to(path.parent):
            atomic_file.write(path, text, mode)
    except OSError as error:
        raise _unwritable(path, error) from error


def small_text(path: Path) -> str:
    """Return the text of a small regular file: a path of unknown origin may name a pipe or an
    endless device. Raises OSError and ValueError."""
    with on_the_way_to(path):
        return read_small(path, _LARGEST, links=True).decode("utf-8")


def _unwritable(path: Path, error: OSError) -> TryLaterError:
    return TryLaterError(
        f"The file {printable(str(path))} cannot be written: {error.strerror}.",
        "Name another directory with --out.",
    )


def _write(path: Path, comment: str, section: str, values: Mapping[str, str]) -> None:
    parser = _empty()
    parser[section] = {name: value for name, value in values.items() if value}
    text = io.StringIO()
    text.write(f"# {comment}\n# Made by: postamt-sync bootstrap\n\n")
    parser.write(text)
    # The first rename replaces the intent: the key is known from then on, and never before.
    replace_file(pending_path(path), text.getvalue())
    settle(path)


def _look(path: Path, section: str, name: str) -> Held:
    try:
        text = small_text(path)
        parser = _parsed(text)
    except FileNotFoundError:
        return Held(problem="is not there", empty=True)
    except OSError as error:
        return Held(problem=f"cannot be read ({error.strerror})")
    except (ValueError, configparser.Error):
        return Held(problem="holds no key that can be read")
    key_id = printable(parser.get(section, name, fallback=""), 128)
    if not key_id:
        return Held(problem="holds no key", empty=not text.strip())
    return Held(key_id, printable(parser.get(section, OWNER, fallback=""), 256))


def _parsed(text: str) -> configparser.ConfigParser:
    parser = _empty()
    parser.read_string(text)
    return parser


def _empty() -> configparser.ConfigParser:
    return configparser.ConfigParser(interpolation=None)
