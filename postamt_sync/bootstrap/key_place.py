"""Where a user's key should be, where it may be instead, and how to say so.

The remembered places decide nothing. The note beside the configuration holds no secret and anybody
may have edited it, so a path in it is only shown, or opened for reading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.atomic_file import PUBLIC
from postamt_sync.bootstrap.key_file import Held, is_smtp_credentials, replace_file, small_text
from postamt_sync.config.command import USUAL_LINE, CommandLine
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable

SUFFIX = ".key-files"
_ABOUT = "Where postamt-sync bootstrap put the keys. A hint for people: it can be deleted."
_MOST = 16
"""How many keys are remembered, the newest ones; for a large household, twice as many as it has."""


@dataclass(frozen=True, slots=True)
class KeyHints:
    """The note beside a configuration; without a configuration nothing is remembered.

    It is written beside the path as typed, even if that is a link, because the link's target may be
    in a read-only store. It is read beside the target too.
    """

    config: Path | None = None

    @property
    def path(self) -> Path | None:
        return None if self.config is None else _beside(self.config)

    def files(self) -> dict[str, Path]:
        """Return the files by the ids of the keys in them; none if the note is unreadable."""
        if self.config is None:
            return {}
        try:
            target = self.config.resolve()
        except (OSError, RuntimeError):
            target = self.config
        return _read(_beside(target)) | _read(_beside(self.config))

    def smtp_files(self) -> tuple[Path, ...]:
        """Return the files that were written for mail clients, each once."""
        found = (path for path in self.files().values() if is_smtp_credentials(path))
        return tuple(dict.fromkeys(found))

    def remember(self, files: Mapping[str, Path]) -> str:
        """Note where keys are. Return "", or a sentence that says why this failed."""
        path = self.path
        if self.config is None or path is None or not self.config.is_file():
            return ""
        known = _read(path)
        wanted = {key_id: file for key_id, file in files.items() if key_id}
        if all(known.get(key_id) == file for key_id, file in wanted.items()):
            return ""
        every = {k: v for k, v in known.items() if k not in wanted} | wanted
        last = dict(list(every.items())[-max(_MOST, 2 * len(wanted)) :])
        told = {"about": _ABOUT, "keys": {key_id: str(file) for key_id, file in last.items()}}
        try:
            replace_file(path, json.dumps(told, indent=2) + "\n", mode=PUBLIC)
        except TryLaterError as error:
            reason = getattr(error.__cause__, "strerror", None) or "it cannot be written"
            return (
                f"Where the keys are could not be noted in {printable(str(path))} ({reason}); "
                "nothing else depends on it."
            )
        return ""


NO_HINTS = KeyHints()


def _beside(config: Path) -> Path:
    return config.with_name(config.name + SUFFIX)


def _read(path: Path) -> dict[str, Path]:
    try:
        keys = json.loads(small_text(path))["keys"]
        return {
            key_id: Path(file)
            for key_id, file in keys.items()
            if isinstance(file, str) and file.startswith("/") and "\0" not in file
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Words for the key of `who`, which belongs in `path`. `who` is as a person types it: "sync",
    "smtp" or "smtp --mailbox anna"."""

    who: str
    path: Path
    hints: KeyHints = NO_HINTS
    line: CommandLine = USUAL_LINE

    @property
    def replace(self) -> str:
        """The command that creates a new key."""
        return self.line.typed(f"bootstrap credentials replace {self.who}")

    @property
    def another(self) -> str:
        """What to do if the file must stay as it is."""
        return "Name another directory with --out, or move that file away."

    def elsewhere(self, active: Sequence[str], held: Held) -> str:
        """Say that there is an active key, but not in the file."""
        reason = held.problem or f"holds {held.key_id}"
        one = "it" if len(active) == 1 else "one of them"
        return (
            f"{_are(active, 'active')}, but {self.path} {reason}.{self.hint(active)} If you have "
            f"{one}, all is well. Only if it is lost, replace it: {self.replace}"
        )

    def switched_off(self, keys: Sequence[str]) -> str:
        """Say that all of the user's keys were deactivated in IAM."""
        return (
            f"{_are(keys, 'switched off in IAM')}. Switch one on there, or replace it: "
            f"{self.replace}"
        )

    def hint(self, keys: Sequence[str]) -> str:
        """Say where keys were put, as far as remembered: sentences, each after a space."""
        known = self.hints.files()
        put = [
            f" {key} was put into {printable(str(known[key]), 4096)}."
            for key in keys
            if key in known
        ]
        return "".join(put)


def _are(keys: Sequence[str], what: str) -> str:
    named = " and ".join(keys)
    return f"the key {named} is {what}" if len(keys) == 1 else f"the keys {named} are {what}"
