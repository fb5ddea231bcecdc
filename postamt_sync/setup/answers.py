"""The answers given to `setup`, kept durably and privately, so that it can go on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from postamt_sync import atomic_file
from postamt_sync.errors import MisconfiguredError, unwritable
from postamt_sync.events import printable
from postamt_sync.regular_file import read_small

FILE = "answers.json"
CONFIGURATION = "config.toml"
_LARGEST = 65_536


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers; None where there is none yet.

    `public_url` "" means no open port, `certificate` "" one that is found or made on the box. The
    last six are not answers: `account` and `bucket` are those that the setup began with,
    `bucket_of` is what the bucket's name was made for, `first_key` the key of the mail that waits
    for the box, `bundle_digest` that of the latest bundle, and `name` the stack's, if it is not the
    usual one.
    """

    domains: tuple[str, ...] | None = None
    people: tuple[str, ...] | None = None
    region: str | None = None
    public_url: str | None = None
    here: bool | None = None
    dovecot: bool | None = None
    imap_host: str | None = None
    certificate: str | None = None
    certificate_key: str | None = None
    account: str | None = None
    bucket: str | None = None
    bucket_of: str | None = None
    first_key: str | None = None
    bundle_digest: str | None = None
    name: str | None = None

    def without_questions(self) -> Self:
        """Return a copy that keeps what was made, with all questions open again."""
        made = ("account", "bucket", "bucket_of", "first_key", "bundle_digest", "name")
        return replace(type(self)(), **{name: getattr(self, name) for name in made})


def setup_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the answers and the future configuration are kept; always the same directory."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "postamt-sync" / "setup"


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """The file with the answers, in a directory that only its owner may enter."""

    directory: Path

    @property
    def path(self) -> Path:
        return self.directory / FILE

    def read(self) -> Answers:
        """Return the kept answers; invalid ones are dropped, and will be asked again.

        Raises MisconfiguredError if the file cannot be read.
        """
        try:
            kept = json.loads(read_small(self.path, _LARGEST))
        except FileNotFoundError:
            return Answers()
        except (OSError, ValueError, RecursionError) as error:
            raise MisconfiguredError(
                f"{printable(str(self.path))} cannot be read: {printable(str(error), 100)}.",
                "Delete it, and answer again.",
            ) from error
        return _answers(kept if isinstance(kept, dict) else {})

    def write(self, answers: Answers) -> None:
        """Keep the answers; durable on return."""
        text = json.dumps(asdict(answers), indent=2) + "\n"
        keep(self.path, text)


def keep(path: Path, text: str) -> None:
    """Write a private file in a private directory; durable on return. Raises PostamtError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        atomic_file.write(path, text)
    except OSError as error:
        raise unwritable(path, error, "Name another place: XDG_CONFIG_HOME=/path") from error


def _answers(kept: Mapping[str, Any]) -> Answers:
    found: dict[str, Any] = {}
    for field in fields(Answers):
        value = kept.get(field.name)
        if field.name in {"domains", "people"}:
            if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
                found[field.name] = tuple(value)
        elif field.name in {"here", "dovecot"}:
            if isinstance(value, bool):
                found[field.name] = value
        elif isinstance(value, str):
            found[field.name] = value
    return Answers(**found)
