"""The file that carries a household's configuration and credentials to the box.

    magic 20 | version 1 | log2 of Scrypt's n 1 | r 1 | p 1 | salt 16 | nonce 12 | length 4 |
    ciphertext | SHA-256 of all before it 32

The header is AES-256-GCM's associated data, so nothing in it can be changed unnoticed. The hash at
the end is no protection against an adversary: it distinguishes a file that was truncated or garbled
from a wrong passphrase. The cost of Scrypt named in a header is checked before it is paid.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shlex
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from postamt_sync import atomic_file
from postamt_sync.errors import FULL_DISK, MisconfiguredError, UsageError, unwritable
from postamt_sync.events import printable
from postamt_sync.regular_file import read_small

MAGIC = b"postamt-sync bundle\n"
VERSION = 1
LARGEST = 1 << 20
"""Bytes; a large household's has a few thousand."""
_HEAD = struct.Struct(">20sBBBB16s12sI")
_HASH = 32
_LOG2_N, _R, _P = 15, 8, 1
"""32 MiB, which the smallest box can afford. The passphrase is random, with enough bits anyway."""
_LOG2_N_BOUNDS = range(14, 18)
_FILE_NAME = re.compile(r"config\.toml|credentials|smtp-credentials(?:-[a-z0-9][a-z0-9._-]{0,63})?")
_NO_FILE = {
    errno.ELOOP: "it is a link",
    errno.EISDIR: "it is a directory",
    errno.ENXIO: "it is not a regular file",
    errno.EFBIG: "it is too large for a bundle",
}
MAKE_ANOTHER = "Make another with: postamt-sync setup --new-bundle"


class WrongPassphraseError(UsageError):
    """The passphrase does not open this bundle."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the box needs: files by name, the key of the mail that waits for it, and whether to set
    up Dovecot."""

    files: dict[str, str] = field(repr=False)
    first_key: str = ""
    dovecot: bool = True

    @property
    def digest(self) -> str:
        """A hash that tells contents apart without revealing them."""
        return hashlib.sha256(self._plain()).hexdigest()

    def _plain(self) -> bytes:
        told = {"files": self.files, "first_key": self.first_key, "dovecot": self.dovecot}
        return json.dumps(told, sort_keys=True).encode()

    def sealed(self, passphrase: str) -> bytes:
        """Return the bundle, encrypted."""
        salt, nonce, plain = os.urandom(16), os.urandom(12), self._plain()
        head = _HEAD.pack(MAGIC, VERSION, _LOG2_N, _R, _P, salt, nonce, len(plain))
        key = _key(passphrase, salt, _LOG2_N, _R, _P)
        body = head + AESGCM(key).encrypt(nonce, plain, head)
        return body + hashlib.sha256(body).digest()

    def write(self, path: Path, passphrase: str) -> None:
        """Write it to a file that only its owner may read; durable on return.

        Raises UsageError if the file exists and is not a bundle or cannot be written, TryLaterError
        if the disk is full.
        """
        if os.path.lexists(path) and not is_bundle(path):
            raise UsageError(
                f"{printable(str(path))} is not a bundle, so it was left alone.",
                "Name another file with: --bundle",
            )
        try:
            atomic_file.write(path, self.sealed(passphrase))
        except OSError as error:
            hint = "Name another file with: --bundle"
            if error.errno in FULL_DISK:
                raise unwritable(path, error, hint) from error
            raise UsageError(
                f"{printable(str(path))} cannot be written: {error.strerror}.", hint
            ) from error


def is_bundle(path: Path) -> bool:
    """Whether a file starts like a bundle; a link never counts."""
    try:
        return read_small(path, LARGEST)[: len(MAGIC)] == MAGIC
    except OSError:
        return False


def read_bundle(path: Path) -> bytes:
    """Return a bundle, still encrypted, once it is known to be complete and of our version.

    Follows no link, and reads at most LARGEST bytes. Raises UsageError.
    """
    name = printable(str(path), 4096)
    try:
        data = read_small(path, LARGEST)
    except FileNotFoundError:
        raise UsageError(
            f"There is no {name}.",
            "If it was used already, see how things are with: sudo postamt-sync status",
        ) from None
    except OSError as error:
        why = _NO_FILE.get(error.errno or 0, error.strerror)
        raise UsageError(
            f"{name} cannot be read: {why}.", "Name the file itself that setup has made."
        ) from None
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise UsageError(
            f"{name} is not a bundle of postamt-sync.", "Name the one that setup made."
        )
    if len(data) > len(MAGIC) and data[len(MAGIC)] != VERSION:
        raise UsageError(
            f"{name} was made by another version of postamt-sync (format {data[len(MAGIC)]}).",
            f"Install the same version on both machines. {MAKE_ANOTHER}",
        )
    if len(data) < _HEAD.size + _HASH or _is_garbled(data):
        raise UsageError(
            f"{name} was truncated or changed on its way.", f"Copy it once more. {MAKE_ANOTHER}"
        )
    return data


def open_bundle(data: bytes, passphrase: str) -> Bundle:
    """Decrypt what `read_bundle` returned. Raises WrongPassphraseError or UsageError."""
    head = data[: _HEAD.size]
    _, _, log2_n, r, p, salt, nonce, _ = _HEAD.unpack(head)
    if log2_n not in _LOG2_N_BOUNDS or (r, p) != (_R, _P):
        raise UsageError("The bundle asks for more work than ours ever do.", MAKE_ANOTHER)
    key = _key(passphrase, salt, log2_n, r, p)
    try:
        plain = AESGCM(key).decrypt(nonce, data[_HEAD.size : -_HASH], head)
    except InvalidTag:
        raise WrongPassphraseError(
            "That is not this bundle's passphrase.",
            f"It was shown when the bundle was made. {MAKE_ANOTHER}",
        ) from None
    return _told(json.loads(plain))


def remove_bundle(path: Path, data: bytes) -> None:
    """Delete the file if it is still what was read; durable on return. Raises
    MisconfiguredError."""
    try:
        if read_small(path, LARGEST) == data:
            path.unlink()
            atomic_file.sync(path.absolute().parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise MisconfiguredError(
            f"The bundle could not be deleted: {error.strerror}.",
            f"Delete it, because it contains keys: rm {shlex.quote(printable(str(path), 4096))}",
        ) from error


def _told(told: dict[str, Any]) -> Bundle:
    files = told.get("files", {})
    if "config.toml" not in files or not all(map(_FILE_NAME.fullmatch, files)):
        raise UsageError("The bundle contains files that do not belong in it.", MAKE_ANOTHER)
    return Bundle(
        {str(name): str(text) for name, text in files.items()},
        str(told.get("first_key", "")),
        bool(told.get("dovecot", True)),
    )


def _is_garbled(data: bytes) -> bool:
    length = _HEAD.unpack(data[: _HEAD.size])[-1]
    whole = _HEAD.size + length + 16 + _HASH
    return len(data) != whole or hashlib.sha256(data[:-_HASH]).digest() != data[-_HASH:]


def _key(passphrase: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << log2_n, r=r, p=p).derive(passphrase.encode())
