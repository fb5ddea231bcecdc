"""A household's configuration: who lives there, where their Maildirs are, and what more is said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from postamt_sync.config import Settings, load

HEAD = """\
state_dir = "{root}/state"

[aws]
region = "eu-west-1"

[bucket]
name = "{bucket}"
"""
MAILBOX = """
[[mailboxes]]
name = "{name}"
maildir = "{maildirs}/{name}"
addresses = {addresses}
default = {default}
"""
PEOPLE = ("anna", "bruno")
"""Who lives there usually."""


def configuration(
    root: Path,
    more: str = "",
    *,
    people: Sequence[str] = PEOPLE,
    maildirs: Path | None = None,
    bucket: str = "mail",
    addresses: Mapping[str, Sequence[str]] | None = None,
    default: str = "",
) -> str:
    """Return the text: `more` are sections, and stands before the mailboxes.

    `default` gets what is left over, or else the first of the people. `addresses` are of those who
    have others than their name at example.com.
    """
    boxes = [
        MAILBOX.format(
            name=name,
            maildirs=maildirs or root,
            addresses=json.dumps((addresses or {}).get(name, [f"{name}@example.com"])),
            default=str(name == (default or people[0])).lower(),
        )
        for name in people
    ]
    return "\n".join([HEAD.format(root=root, bucket=bucket), more, *boxes])


def configure(root: Path, text: str | None = None) -> Path:
    """Make it, or what else is given, the configuration in this directory; return its path.

    A daemon that reads it meanwhile sees the old one or the new one.
    """
    path = root / "config.toml"
    scratch = path.with_suffix(".scratch")
    scratch.write_text(configuration(root) if text is None else text)
    scratch.replace(path)
    return path


def settings(root: Path, more: str = "", *, bucket: str = "mail") -> Settings:
    """Configure it, and return what the daemon would read, whatever this process's environment."""
    return load(configure(root, configuration(root, more, bucket=bucket)), {})
