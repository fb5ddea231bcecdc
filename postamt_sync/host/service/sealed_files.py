"""Files that we install and may later replace or remove, as long as nobody has edited them.

Each ends with a seal: a comment with the SHA-256 of the lines above it. A file without a seal, or
whose seal does not match, belongs to a person and is never touched.
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
    """How the file at a path compares with the one that we would install."""

    MISSING = "missing"
    SAME = "same"
    OLD = "old"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file to install; `text` ends with its seal."""

    path: Path
    text: str
    mode: int = atomic_file.PUBLIC

    @classmethod
    def of(
        cls, path: Path, text: str, mode: int = atomic_file.PUBLIC, comment: str = "#"
    ) -> SealedFile:
        """Seal `text`, which ends with a newline, by a line that starts with `comment`."""
        return cls(path, text + _seal(text, comment), mode)

    def state(self) -> FileState:
        """Compare with the existing file. Raises MisconfiguredError if it cannot be read."""
        there = _read(self.path)
        if there is None:
            return FileState.MISSING
        if there == self.text:
            return FileState.SAME
        return FileState.OLD if _is_sealed(there) else FileState.EDITED

    def write(self) -> None:
        """Write the file, atomically replacing an older one; durable on return.

        Raises MisconfiguredError, or TryLaterError if the disk is full.
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
    """Return the error to raise for a path that cannot be written."""
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
    """Return the text; None if there is nothing, "" for a link or device, which is never ours."""
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
