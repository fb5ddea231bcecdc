"""Where the keys of a configuration's stack were put: a note beside it, for people to read.

It decides nothing. It holds no secret, anybody may have written into it, and a path in it is
shown, or tried to be read, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.atomic_file import PUBLIC
from postamt_sync.bootstrap.key_file import SMTP_CREDENTIALS, replace_file, small_text
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable

SUFFIX = ".key-files"
_ABOUT = "Where postamt-sync bootstrap put the keys. A hint for people: it can be deleted."
_MOST = 16
"""Keys that are remembered, the last ones."""


@dataclass(frozen=True, slots=True)
class KeyHints:
    """The note beside a configuration; without one nothing is remembered.

    It lies beside the path that was typed, also where that is a link: what the link leads to may
    be a store that nobody writes to. Beside the link's target it is read too.
    """

    config: Path | None = None

    @property
    def path(self) -> Path | None:
        return None if self.config is None else _beside(self.config)

    def files(self) -> dict[str, Path]:
        """Return the files by the ids of the keys that they were given; what cannot be read says
        nothing."""
        if self.config is None:
            return {}
        try:
            target = self.config.resolve()
        except (OSError, RuntimeError):
            target = self.config
        return _read(_beside(target)) | _read(_beside(self.config))

    def smtp_files(self) -> tuple[Path, ...]:
        """Return the files that were written for mail clients, each once."""
        found = (path for path in self.files().values() if path.name == SMTP_CREDENTIALS)
        return tuple(dict.fromkeys(found))

    def remember(self, files: Mapping[str, Path]) -> str:
        """Note where keys are, and return why that is not possible, in a sentence, if it is not."""
        path = self.path
        if self.config is None or path is None or not self.config.is_file():
            return ""
        known = _read(path)
        wanted = {key_id: file for key_id, file in files.items() if key_id}
        if all(known.get(key_id) == file for key_id, file in wanted.items()):
            return ""
        every = {k: v for k, v in known.items() if k not in wanted} | wanted
        last = dict(list(every.items())[-_MOST:])
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
