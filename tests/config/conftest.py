"""Loading a configuration from text, the way a test writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from postamt_sync.config import Settings, load
from postamt_sync.errors import ConfigurationError, Problem

MINIMAL = """
[aws]
region = "eu-west-1"
[bucket]
name = "mail-bucket"
"""
ONE_MAILBOX = """
[[mailboxes]]
name = "anna"
maildir = "/mail/anna"
addresses = ["anna@example.com"]
"""
WEBHOOK = """
[webhook]
public_url = "https://home.example.com:8443/sns"
topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"
"""

Read = Callable[..., Settings]
Report = Callable[..., list[Problem]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load a text."""

    def read(
        text: str = MINIMAL + ONE_MAILBOX, environ: Mapping[str, str] | None = None
    ) -> Settings:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ or {})

    return read


@pytest.fixture
def report(read: Read) -> Report:
    """Return what is wrong with a text; a text with nothing wrong gives an empty list."""

    def report(
        text: str = MINIMAL + ONE_MAILBOX, environ: Mapping[str, str] | None = None
    ) -> list[Problem]:
        try:
            read(text, environ)
        except ConfigurationError as error:
            return list(error.problems)
        return []

    return report


ANNA = {
    "name": '"anna"',
    "maildir": '"/mail/anna"',
    "addresses": '["a@example.com"]',
    "default": "true",
}
BEN = {"name": '"ben"', "maildir": '"/mail/ben"', "addresses": '["b@example.com"]'}


def mailboxes(*entries: dict[str, str]) -> str:
    return MINIMAL + "".join(
        "[[mailboxes]]\n" + "".join(f"{name} = {value}\n" for name, value in entry.items())
        for entry in entries
    )


def only(report: Report, text: str) -> tuple[str, str]:
    (problem,) = report(text)
    return problem.key, problem.wrong
