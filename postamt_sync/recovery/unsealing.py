"""Downloading and opening sealed objects; the plain mail is proven by its SHA-256.

OpenPGP proves that a message is intact, and the object's metadata has the hash of the plain bytes:
a mail has to pass both. Downloads are streamed to the disk, a limited number at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    DamagedError,
    Listed,
    ObjectArchivedError,
    ObjectGoneError,
)
from postamt_sync.delivery.disk import disk_trouble
from postamt_sync.errors import PostamtError, TryLaterError, UndeliverableError
from postamt_sync.mail.sealed_name import SHA256
from postamt_sync.recovery.gpg import SUFFIX, Gpg

MOST_AT_ONCE = 100
BYTES_AT_ONCE = 64 << 20
"""Bytes of one batch on the disk; a larger mail is a batch by itself."""
DOWNLOADS = 8

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OF_ONE = (AccessDeniedError, DamagedError, ObjectArchivedError, ObjectGoneError)


@dataclass(frozen=True, slots=True)
class PlainMail:
    """An opened mail: its sealed object, the file with its bytes, and their SHA-256 in hex."""

    sealed: Listed
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What became of a batch. `failed` says, by sealed key, why the others were not opened."""

    opened: tuple[PlainMail, ...]
    failed: dict[str, PostamtError]


class Unsealing:
    """Opens sealed objects into a directory, which must exist and be private to this user."""

    def __init__(self, bucket: Bucket, gpg: Gpg, directory: Path) -> None:
        self._bucket = bucket
        self._gpg = gpg
        self._directory = directory

    async def open(self, batch: Sequence[Listed]) -> Unsealed:
        """Download and open the sealed objects of these entries.

        The files of opened mails are left for the caller; nothing else is left behind. Raises what
        concerns all of them: gpg is missing, has no key or is not allowed to use it, or S3 cannot
        be reached.
        """
        self._gpg.find()
        files = {entry.sealed_key: self._file(number) for number, entry in enumerate(batch)}
        failed: dict[str, PostamtError] = {}
        try:
            digests = await self._download(batch, files, failed)
            if not digests:
                return Unsealed((), failed)
            result = await self._gpg.open([files[key] for key in digests])
            opened = []
            for entry in batch:
                if (digest := digests.get(entry.sealed_key)) is None:
                    continue
                file = files[entry.sealed_key]
                problem = result.problems.get(file) or await asyncio.to_thread(
                    _difference, file.with_suffix(""), digest
                )
                if problem:
                    failed[entry.sealed_key] = _not_opened(problem)
                    await asyncio.to_thread(file.with_suffix("").unlink, missing_ok=True)
                else:
                    opened.append(PlainMail(entry, file.with_suffix(""), digest))
        except BaseException:
            for file in files.values():
                file.with_suffix("").unlink(missing_ok=True)
            raise
        finally:
            for file in files.values():
                file.unlink(missing_ok=True)
        return Unsealed(tuple(opened), failed)

    def _file(self, number: int) -> Path:
        return self._directory / f"sealed-{number}{SUFFIX}"

    async def _download(
        self,
        batch: Sequence[Listed],
        files: dict[str, Path],
        failed: dict[str, PostamtError],
    ) -> dict[str, str]:
        """Return the SHA-256 from each object's metadata, by its key."""
        gate = asyncio.Semaphore(DOWNLOADS)

        async def one(entry: Listed) -> tuple[str, str]:
            async with gate:
                try:
                    return entry.sealed_key, await self._fetch(entry, files[entry.sealed_key])
                except (*_OF_ONE, UndeliverableError) as error:
                    failed[entry.sealed_key] = error
                    return entry.sealed_key, ""

        tasks = [asyncio.create_task(one(entry)) for entry in batch]
        try:
            digests = dict(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {key: digest for key, digest in digests.items() if digest}

    async def _fetch(self, entry: Listed, file: Path) -> str:
        async with self._bucket.fetch(entry.sealed_key) as fetched:
            digest = fetched.metadata.get(SHA256, "").lower()
            if not _DIGEST.fullmatch(digest):
                raise UndeliverableError(
                    "The sealed object does not have the SHA-256 of its mail.",
                    "Our function does not write such objects: look at it in the S3 console.",
                )
            async with aclosing(fetched.chunks()) as chunks:
                try:
                    with await asyncio.to_thread(_made, file) as stream:
                        async for chunk in chunks:
                            await asyncio.to_thread(stream.write, chunk)
                except OSError as error:
                    raise disk_trouble(error, file) from error
            return digest


def batches(entries: Sequence[Listed]) -> Iterator[list[Listed]]:
    """Yield the entries in batches of at most MOST_AT_ONCE files and BYTES_AT_ONCE bytes."""
    batch: list[Listed] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == MOST_AT_ONCE or size + entry.size > BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _made(path: Path) -> BinaryIO:
    """Create a file that must not exist yet, for this user only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _difference(path: Path, digest: str) -> str:
    """Return how a file differs from its SHA-256; "" if it does not."""
    try:
        with path.open("rb") as stream:
            same = hashlib.file_digest(stream, "sha256").hexdigest() == digest
    except OSError as error:
        return f"the opened file cannot be read ({error.strerror})"
    return "" if same else "by its SHA-256, its content is not what was sealed"


def _not_opened(problem: str) -> PostamtError:
    return TryLaterError(
        f"The sealed mail was not opened: {problem}.",
        "It stays in the bucket as it is. Try gpg --decrypt on it where your key is.",
    )
