"""Keys that a person may have, made once; and what the sealing function meets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pysequoia
import pytest

from postamt_sync.seal.owner_keys import OwnerKey, encryption_fingerprints, read_owner_key
from postamt_sync.seal.records import SealState, SettledMail
from tests.support.gpg import Gpg


@pytest.fixture(scope="session")
def gpg() -> Iterator[Gpg]:
    """A household's gpg: `owner` has Curve25519, `backup` has RSA."""
    own = Gpg()
    own.make("owner", "future-default", "default", "2y")
    own.make_rsa("backup")
    yield own
    own.close()


class Household:
    """Two keys, of which the secret ones stay here."""

    def __init__(self) -> None:
        self.secrets = [pysequoia.Tsk.generate(f"{n}@example.com") for n in ("owner", "backup")]
        self.keys: list[OwnerKey] = [
            read_owner_key(bytes(secret.extract_certificate())) for secret in self.secrets
        ]

    def opened(self, message: bytes, which: int = 0) -> bytes:
        """Return what one of the secret keys opens."""
        found = pysequoia.decrypt(message, decryptor=self.secrets[which].decryptor())
        assert found.bytes is not None
        return bytes(found.bytes)


@pytest.fixture(scope="session")
def household() -> Household:
    return Household()


class MemoryRecords:
    """The table of box and function, in memory."""

    def __init__(self) -> None:
        self.said: SettledMail | None = None
        self.proved: set[tuple[str, ...]] = set()
        self.kept: SealState | None = None
        self.total = 0

    def watermark(self) -> SettledMail | None:
        return self.said

    def is_proved(self, fingerprints: Iterable[str]) -> bool:
        return tuple(sorted(fingerprints)) in self.proved

    def prove(self, keys: Iterable[OwnerKey]) -> None:
        self.proved.add(encryption_fingerprints(keys))

    def settle(self, before: datetime, now: datetime) -> None:
        self.said = SettledMail(before, now)

    def state(self) -> SealState | None:
        return self.kept

    def write_state(self, state: SealState) -> None:
        self.kept = state
        self.total += state.sealed
