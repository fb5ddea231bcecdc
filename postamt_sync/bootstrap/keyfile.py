"""The files that credentials are kept in at home: AWS tells a secret once, and there it goes.

They are written 0600 beside their place, synced and renamed: a file is there whole or not at all.
"""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from postamt_sync.bootstrap.smtp import smtp_password, smtp_server
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.errors import TryLaterError


class KeyFile(Protocol):
    """A file that holds one access key in one form or another."""

    @property
    def path(self) -> Path: ...

    def key_id(self) -> str:
        """Return the id of the key in it; empty where there is no such file, or no key in it."""

    def keep(self, answer: Mapping[str, Any]) -> None:
        """Put the key in it that IAM's CreateAccessKey has just told; durable on return."""


@dataclass(frozen=True, slots=True)
class SyncCredentials:
    """The shared credentials file of the AWS SDK, for the box at home."""

    path: Path
    user: str

    def key_id(self) -> str:
        return _read(self.path, "default", "aws_access_key_id")

    def keep(self, answer: Mapping[str, Any]) -> None:
        key = answer["AccessKey"]
        _write(
            self.path,
            f"The key of {self.user}, for the box at home: it may read mail and nothing else.",
            "default",
            {
                "aws_access_key_id": key["AccessKeyId"],
                "aws_secret_access_key": key["SecretAccessKey"],
            },
        )


@dataclass(frozen=True, slots=True)
class SmtpCredentials:
    """What a mail client asks for; the secret that the password was made from is not kept."""

    path: Path
    stack: Stack

    def key_id(self) -> str:
        return _read(self.path, "smtp", "username")

    def keep(self, answer: Mapping[str, Any]) -> None:
        key = answer["AccessKey"]
        server = smtp_server(self.stack.region)
        assert server is not None, "no key is made where there is no server"
        _write(
            self.path,
            f"How mail clients send through SES. Good in {self.stack.region} only.",
            "smtp",
            {
                "server": server.host,
                "port": str(server.implicit_tls[0]),
                "security": "TLS",
                "port_starttls": str(server.starttls[0]),
                "username": key["AccessKeyId"],
                "password": smtp_password(key["SecretAccessKey"], self.stack.region),
            },
        )

    def read(self) -> dict[str, str]:
        """Return what the file says; nothing where it is not there."""
        parser = _parsed(self.path)
        return dict(parser["smtp"]) if parser.has_section("smtp") else {}


def replace_file(path: Path, text: str) -> None:
    """Write a file of which nobody but its owner may read; raises TryLaterError."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise TryLaterError(
            f"The file {path} cannot be written: {error.strerror}.",
            "Name another directory with --out.",
        ) from error


def _write(path: Path, comment: str, section: str, values: Mapping[str, str]) -> None:
    parser = _empty()
    parser[section] = dict(values)
    text = io.StringIO()
    text.write(f"# {comment}\n# Made by: postamt-sync bootstrap\n\n")
    parser.write(text)
    replace_file(path, text.getvalue())


def _read(path: Path, section: str, name: str) -> str:
    return _parsed(path).get(section, name, fallback="")


def _parsed(path: Path) -> configparser.ConfigParser:
    parser = _empty()
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError, configparser.Error):
        return _empty()  # what cannot be read holds no key that anybody could use
    return parser


def _empty() -> configparser.ConfigParser:
    return configparser.ConfigParser(interpolation=None)
