"""A household's configuration: who lives there, where their Maildirs are, and what more is said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from postamt_sync.config import Settings, load

HEAD = """\
state_dir = "{state}"

[aws]
region = "eu-west-1"

[bucket]
name = "{bucket}"
"""
MAILBOX = """
[[mailboxes]]
name = "{name}"
maildir = "{maildir}"
addresses = {addresses}
default = {default}
"""
PEOPLE = ("anna", "bruno")
"""Who lives there usually."""


def head(state: Path | str, bucket: str = "mail") -> str:
    """Return the beginning of a configuration, up to the end of [bucket]."""
    return HEAD.format(state=state, bucket=bucket)


def mailbox(
    name: str, maildir: Path | str, addresses: Sequence[str] | None = None, *, default: bool = False
) -> str:
    """Return one mailbox; it has its name at example.com where no addresses are given."""
    return MAILBOX.format(
        name=name,
        maildir=maildir,
        addresses=json.dumps(addresses if addresses is not None else [f"{name}@example.com"]),
        default=str(default).lower(),
    )


def configuration(
    root: Path,
    more: str = "",
    *,
    people: Sequence[str] = PEOPLE,
    maildirs: Path | Mapping[str, Path | str] | None = None,
    bucket: str = "mail",
    addresses: Mapping[str, Sequence[str]] | None = None,
    default: str = "",
    state: Path | str = "",
) -> str:
    """Return the text: `more` are sections, and stands before the mailboxes.

    `default` gets what is left over, or else the first of the people. `addresses` are of those who
    have others than their name at example.com. `maildirs` is the directory that has all of them, or
    names each. `state` is below `root` where nothing else is said.
    """
    places = maildirs if isinstance(maildirs, Mapping) else {}
    above = maildirs if isinstance(maildirs, Path) else root
    boxes = [
        mailbox(
            name,
            places.get(name, above / name),
            (addresses or {}).get(name),
            default=name == (default or people[0]),
        )
        for name in people
    ]
    return "\n".join([head(state or root / "state", bucket), more, *boxes])


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
