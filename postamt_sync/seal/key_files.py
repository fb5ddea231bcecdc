"""Reading the key files that the configuration names; if one is refused, all are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from postamt_sync.errors import MisconfiguredError
from postamt_sync.log_line import printable
from postamt_sync.regular_file import read_small
from postamt_sync.seal.owner_keys import LARGEST_FILE, KeyRefusedError, OwnerKey, read_owner_key

_TWICE = KeyRefusedError("Another of these files has the same key.", "Name each key once.")


@dataclass(frozen=True, slots=True)
class ReadKey:
    """A file with its key, or with what is wrong with it."""

    path: Path
    key: OwnerKey | None
    refused: KeyRefusedError | None = None

    @property
    def shown(self) -> str:
        return printable(str(self.path), 200)


def read_key_files(paths: Iterable[Path], now: datetime | None = None) -> list[ReadKey]:
    """Read each of the files. What is wrong with one is in its result, and not raised."""
    found: list[ReadKey] = []
    for path in paths:
        try:
            key = _read(path, now)
        except KeyRefusedError as refused:
            found.append(ReadKey(path, None, refused))
            continue
        twice = any(other.key and other.key.fingerprint == key.fingerprint for other in found)
        found.append(ReadKey(path, None, _TWICE) if twice else ReadKey(path, key))
    return found


def usable_keys(paths: Iterable[Path], now: datetime | None = None) -> Sequence[OwnerKey]:
    """Return all keys; raises MisconfiguredError for the first that cannot be used."""
    keys = []
    for each in read_key_files(paths, now):
        if each.refused is not None:
            raise MisconfiguredError(
                f"Mail cannot be sealed with {each.shown}: {each.refused.problem}",
                each.refused.hint,
            )
        assert each.key is not None
        keys.append(each.key)
    return keys


def _read(path: Path, now: datetime | None) -> OwnerKey:
    try:
        data = read_small(path, LARGEST_FILE, links=True, pipes=True)
    except OSError as error:
        raise KeyRefusedError(
            f"It cannot be read: {error.strerror}.",
            "Paths in [seal] keys are relative to the configuration file.",
        ) from None
    return read_owner_key(data, now)
