"""Files that we put on a machine and may later replace or remove: those that nobody edited.

Each ends with a seal, a comment with the SHA-256 of the lines above it. A file whose seal does not
fit, or that has none, is someone's own and is never touched.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from pathlib import Path

from postamt_sync import atomic_file, errors
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.host.directories import PlantedLinkError, held, make_open
from postamt_sync.regular_file import NO_FILES, read_small

_SEAL = "Written by postamt-sync service install; an edited file is left alone. "


class FileState(enum.Enum):
    """What lies at a path, compared with what we would put there."""

    MISSING = "missing"
    SAME = "same"
    OLD = "old"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file for one place; `text` ends with its seal."""

    path: Path
    text: str
    mode: int = atomic_file.PUBLIC

    @classmethod
    def of(
        cls, path: Path, text: str, mode: int = atomic_file.PUBLIC, comment: str = "#"
    ) -> SealedFile:
        """Seal `text`, which ends with a line end, by a line that begins as a comment does."""
        return cls(path, text + _seal(text, comment), mode)

    def state(self) -> FileState:
        """Look at what is there. Raises MisconfiguredError if that cannot be read."""
        there = _read(self.path)
        if there is None:
            return FileState.MISSING
        if there == self.text:
            return FileState.SAME
        return FileState.OLD if _is_sealed(there) else FileState.EDITED

    def write(self) -> None:
        """Put the file in place of an older one in one step; durable on return.

        Raises MisconfiguredError, and TryLaterError where the disk is full.
        """
        try:
            make_open(self.path.parent)
            with held(self.path.parent) as place:
                atomic_file.write(place / self.path.name, self.text, self.mode)
        except PlantedLinkError as error:
            raise MisconfiguredError(
                f"{self.path} cannot be written. {error.problem}", error.hint
            ) from error
        except OSError as error:
            raise unwritable(self.path, error) from error


def unwritable(path: Path, error: OSError) -> TryLaterError | MisconfiguredError:
    """Say that a path cannot be written to."""
    hint = "Run it as root (sudo), and look at the directory if you did."
    return errors.unwritable(path, error, hint)


def _seal(text: str, comment: str) -> str:
    return f"{comment} {_SEAL}sha256:{hashlib.sha256(text.encode()).hexdigest()}\n"


def _is_sealed(text: str) -> bool:
    at = text.rfind(_SEAL)
    begin = text.rfind("\n", 0, at) + 1
    comment = text[begin:at].rstrip(" ")
    return at >= 0 and text[begin:] == _seal(text[:begin], comment)


def _read(path: Path) -> str | None:
    """Return the text, None if nothing is there; a link or device is never ours."""
    if path.is_symlink():
        return ""
    try:
        return read_small(path).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in NO_FILES:
            return ""
        raise MisconfiguredError(
            f"{path} cannot be read ({error.strerror}).", "Run it as root (sudo)."
        ) from error
