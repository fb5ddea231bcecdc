"""Sealing one version of a mail, step by step. It may be killed after each of them.

    encrypt     read the plain bytes into a file, check them, and encrypt them for all keys
    put         store the sealed object, if there is none yet
    compare     read it back: it must be what was written or, from an earlier attempt, be for keys
                that were proved
    forget      have the index forget what others wrote in the mail
    tag         let the plain version expire from now on, if the bucket keeps versions

Nothing is undone and nothing is remembered: the next attempt finds out how far this one came.
"""

from __future__ import annotations

import enum
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from botocore.exceptions import ClientError

from postamt_sync.mail.sealed_name import FINGERPRINTS, SEALED_TAG, SHA256, VERSION, SealedName
from postamt_sync.seal.owner_keys import OwnerKey, encrypt_file, encryption_fingerprints
from postamt_sync.seal.packets import HEAD, key_id, recipients_of
from postamt_sync.seal.sealer_bucket import PlainVersion, ReadPlain, StoredSeal


class Outcome(enum.StrEnum):
    """How it ended. Except for the first two, the plain version stays as it was."""

    SEALED = "sealed"
    ALREADY = "sealed already"
    NO_NAME = "its id is too long for the key of a sealed object"
    OTHER_TAGS = "it has somebody else's tags, which ours would replace"
    ENVELOPED = "it was encrypted before it was stored, as SES does with a key of AWS KMS"
    ARCHIVED = "it is in an archive class, and has to be restored first"
    OTHER_BYTES = "its bytes are not what the listing says"
    OTHER_SEAL = "another object is in the place of its sealed one"
    UNPROVED_SEAL = "it was sealed before, for keys that were never proved"
    UNVERSIONED = "the bucket keeps no versions, so nothing could be brought back"


CANNOT = frozenset({Outcome.NO_NAME, Outcome.OTHER_TAGS, Outcome.ENVELOPED, Outcome.ARCHIVED})
"""Outcomes that trying again does not change."""

_ARCHIVED = frozenset({"InvalidObjectState"})


class SealableBucket(Protocol):
    """The part of `SealerBucket` that is used here."""

    def tags(self, version: PlainVersion, /) -> dict[str, str]: ...
    def tag(self, version: PlainVersion, /) -> None: ...
    def read(self, version: PlainVersion, path: str, /) -> ReadPlain: ...
    def put(self, key: str, path: str, sha256: str, metadata: dict[str, str], /) -> bool: ...
    def has(self, key: str, /) -> bool: ...
    def read_back(self, key: str, /) -> StoredSeal: ...


IsProved = Callable[[Iterable[str]], bool]
Forget = Callable[[str], None]
"""Has the index forget what others wrote in the mail with this key; durable on return."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An outcome. `without_twin`: the version was tagged to expire before it was sealed."""

    outcome: Outcome
    without_twin: bool = False


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals for one set of keys. `directory` is where a mail is meanwhile.

    `keeps_versions` tells whether what is tagged can be brought back. `forget_again`: the index may
    not have been told of mail that is sealed already.
    """

    bucket: SealableBucket
    prefix: str
    sealed_prefix: str
    keys: Sequence[OwnerKey]
    is_proved: IsProved
    forget: Forget
    directory: Path
    keeps_versions: Callable[[], bool] = lambda: True
    forget_again: bool = False

    def seal(self, version: PlainVersion) -> Sealed:
        """Seal a version, or finish what was begun; durable on return.

        Raises what boto3 raises, and KeyRefusedError; then nothing was tagged.
        """
        name = self.name_of(version)
        key = name.key(self.sealed_prefix)
        if key is None:
            return Sealed(Outcome.NO_NAME)
        tags = self.bucket.tags(version)
        tagged = tags.items() >= {SEALED_TAG}
        if tagged and self.bucket.has(key):
            if self.forget_again and version.newest:
                self.forget(version.key)
            return Sealed(Outcome.ALREADY)
        if tags and not tagged:
            return Sealed(Outcome.OTHER_TAGS)
        return Sealed(self._seal(version, key, tagged), without_twin=tagged)

    def lacks_twin(self, version: PlainVersion) -> bool:
        """Tell whether a version that is not due is tagged to expire, but not sealed."""
        if not self.bucket.tags(version).items() >= {SEALED_TAG}:
            return False
        key = self.name_of(version).key(self.sealed_prefix)
        return key is None or not self.bucket.has(key)

    def name_of(self, version: PlainVersion) -> SealedName:
        """Return what the sealed object of a version is called."""
        own_id = version.key.removeprefix(self.prefix)
        return SealedName(own_id, version.last_modified, version.etag, version.size)

    def _seal(self, version: PlainVersion, key: str, tagged: bool) -> Outcome:
        with tempfile.TemporaryDirectory(dir=self.directory) as work:
            try:
                outcome = self._stored(version, key, Path(work) / "plain", Path(work) / "sealed")
            except ClientError as error:
                if error.response["Error"]["Code"] not in _ARCHIVED:
                    raise
                return Outcome.ARCHIVED
        if outcome is not Outcome.SEALED:
            return outcome
        if version.newest:
            self.forget(version.key)
        if not tagged:
            if not self.keeps_versions():
                return Outcome.UNVERSIONED
            self.bucket.tag(version)
        return Outcome.SEALED

    def _stored(self, version: PlainVersion, key: str, plain: Path, sealed: Path) -> Outcome:
        """Make sure that there is a sealed object that opens as the plain version."""
        read = self.bucket.read(version, str(plain))
        if read.enveloped:
            return Outcome.ENVELOPED
        if read.size != version.size or (read.etag_is_md5 and read.md5 != version.etag):
            return Outcome.OTHER_BYTES
        encrypt_file(str(plain), str(sealed), self.keys)
        mine = _sha256(sealed)
        fingerprints = encryption_fingerprints(self.keys)
        with sealed.open("rb") as file:
            head = file.read(HEAD)
        if not _is_for(head, fingerprints):
            return Outcome.OTHER_SEAL
        metadata = {
            SHA256: read.sha256,
            VERSION: version.version,
            FINGERPRINTS: " ".join(fingerprints),
        }
        new = self.bucket.put(key, str(sealed), mine, metadata)
        there = self.bucket.read_back(key)
        if new:
            same = (there.sha256, there.size) == (mine, sealed.stat().st_size)
            return Outcome.SEALED if same and _same(there, metadata) else Outcome.OTHER_SEAL
        return self._earlier(there, read.sha256)

    def _earlier(self, there: StoredSeal, plain: str) -> Outcome:
        """Judge what an earlier attempt stored: it is complete, as S3 has checked its checksum."""
        fingerprints = there.metadata.get(FINGERPRINTS, "").split()
        if there.metadata.get(SHA256) != plain or not _is_for(there.head, fingerprints):
            return Outcome.OTHER_SEAL
        return Outcome.SEALED if self.is_proved(fingerprints) else Outcome.UNPROVED_SEAL


def _is_for(head: bytes, fingerprints: Iterable[str]) -> bool:
    """Tell whether a message is for exactly these keys."""
    wanted = {key_id(fingerprint) for fingerprint in fingerprints}
    return bool(wanted) and recipients_of(head) == wanted


def _same(there: StoredSeal, metadata: dict[str, str]) -> bool:
    return all(there.metadata.get(name) == value for name, value in metadata.items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
