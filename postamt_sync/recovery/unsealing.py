"""Sealed objects, downloaded and opened: their plain mail, proven by its SHA-256.

The owner's OpenPGP says that a message is whole, and the object's metadata what the plain bytes
hash to: only what is both is mail. Downloads stream to the disk, and so many lie there at once
that neither the line nor the disk is taken up.
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
"""Of one batch on the disk, each mail counted once; a larger one is a batch by itself."""
DOWNLOADS = 8

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OF_ONE = (AccessDeniedError, DamagedError, ObjectArchivedError, ObjectGoneError)


@dataclass(frozen=True, slots=True)
class PlainMail:
    """An opened mail: the sealed object, where its bytes lie, and their SHA-256 in hex."""

    sealed: Listed
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What became of a batch: `failed` says of the others why not, by the sealed key."""

    opened: tuple[PlainMail, ...]
    failed: dict[str, PostamtError]


class Unsealing:
    """Opens sealed objects into one directory, which is there and this user's alone."""

    def __init__(self, bucket: Bucket, gpg: Gpg, directory: Path) -> None:
        self._bucket = bucket
        self._gpg = gpg
        self._directory = directory

    async def open(self, batch: Sequence[Listed]) -> Unsealed:
        """Download and open these objects (`sealed_key`, and what they stand for).

        Each opened mail's file is the caller's to take; nothing else is left behind. Raises what
        concerns all of them: gpg is missing, lacks the key or is not let, S3 cannot be reached.
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
        """Return the SHA-256 that each object's metadata names, by its key."""
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
                    "The sealed object does not say what its mail hashes to.",
                    "Nothing that seals here writes such an object: look at it in the S3 console.",
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
    """Yield them in batches that neither take too many files nor too many bytes."""
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
    """Make a file for this user alone, which must not be there."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _difference(path: Path, digest: str) -> str:
    """Compare a file with its SHA-256; "" where it is the same."""
    try:
        with path.open("rb") as stream:
            same = hashlib.file_digest(stream, "sha256").hexdigest() == digest
    except OSError as error:
        return f"what was opened cannot be read ({error.strerror})"
    return "" if same else "what is in it is not what was sealed, by its SHA-256"


def _not_opened(problem: str) -> PostamtError:
    return TryLaterError(
        f"The sealed mail was not opened: {problem}.",
        "It stays as it is in the bucket; try gpg --decrypt on it where your key is.",
    )
