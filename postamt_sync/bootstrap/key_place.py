"""Where a user's key should lie, where it may be instead, and in which words that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.bootstrap.key_file import Held
from postamt_sync.bootstrap.key_hints import NO_HINTS, KeyHints
from postamt_sync.config.command import with_options
from postamt_sync.events import printable


@dataclass(frozen=True, slots=True)
class Options:
    """The options that were typed, for the commands that we tell a person to type next."""

    config: Path | None = None
    out: Path | None = None

    def command(self, message: str) -> str:
        """Return a whole command with the options in force."""
        return with_options(f"bootstrap {message}", {"--config": self.config, "--out": self.out})


NO_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """What can be said of the key of `who`, "sync" or "smtp", whose file is `path`."""

    who: str
    path: Path
    hints: KeyHints = NO_HINTS
    options: Options = NO_OPTIONS

    @property
    def replace(self) -> str:
        """The one command that makes a new key."""
        return self.options.command(f"credentials replace {self.who}")

    @property
    def another(self) -> str:
        """What to do where the file must stay as it is."""
        return "Name another directory with --out, or move that file away."

    def elsewhere(self, active: Sequence[str], held: Held) -> str:
        """Say that there is a key, and that it is not in the file."""
        reason = held.problem or f"holds {held.key_id}"
        one = "it" if len(active) == 1 else "one of them"
        return (
            f"{_are(active, 'active')}, but {self.path} {reason}.{self.hint(active)} If you have "
            f"{one}, all is well. Only if it is lost, replace it: {self.replace}"
        )

    def switched_off(self, keys: Sequence[str]) -> str:
        """Say that nothing works with this user's keys, because somebody wanted it so."""
        return (
            f"{_are(keys, 'switched off in IAM')}. Switch one on there, or replace it: "
            f"{self.replace}"
        )

    def hint(self, keys: Sequence[str]) -> str:
        """Say where keys were put, as far as that is remembered; a sentence with a space before."""
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
