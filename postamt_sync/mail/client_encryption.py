"""The metadata of objects that were encrypted before they were stored.

SES does that where the receipt rule names a KMS key, in the v2 format of the S3 encryption client:
each mail is encrypted by AES/GCM under a data key of its own, the 16-byte tag follows the bytes,
and the rest is in the object's metadata. Its names are given here in lower case and without
`x-amz-meta-`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

TAG_BYTES = 16
"""By how much an encrypted object is longer than its mail."""
KEY_BYTES = 32
_IV_BYTES = 12

_CIPHER = "AES/GCM/NoPadding"
_WRAPPED_BY_KMS = frozenset({"kms", "kms+context"})
_SIGNS = frozenset(
    {
        *("x-amz-key-v2", "x-amz-key", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-iv"),
        *("x-amz-c", "x-amz-3", "x-amz-w", "x-amz-d", "x-amz-i"),
    }
)
"""Each of these is written by some version of the encryption client; the second line by v3."""
_LONGEST_WORD = 60


class UnknownEncryptionError(ValueError):
    """An object is encrypted in a way that we do not know: how, in printable ASCII."""


@dataclass(frozen=True, slots=True)
class ClientEncryption:
    """What it takes, besides KMS, to decrypt an object.

    `wrapped_key` is the encrypted data key, which KMS decrypts only with `context`. `plain_size` is
    the mail's size in bytes, None if the metadata has no such entry.
    """

    wrapped_key: bytes
    context: Mapping[str, str]
    iv: bytes
    plain_size: int | None


def is_client_encrypted(metadata: Mapping[str, str]) -> bool:
    """Tell whether an object's bytes are encrypted, and so not the mail's own."""
    return not _SIGNS.isdisjoint(metadata)


def client_encryption(metadata: Mapping[str, str], size: int) -> ClientEncryption | None:
    """Return how an object of `size` bytes is encrypted, None if it is not.

    Raises UnknownEncryptionError for anything but the format that SES writes.
    """
    if not is_client_encrypted(metadata):
        return None
    _refuse_other_versions(metadata)
    wrapping = metadata.get("x-amz-wrap-alg", "")
    if wrapping not in _WRAPPED_BY_KMS:
        raise UnknownEncryptionError(f"its data key is wrapped by {_word(wrapping)}")
    cipher = metadata.get("x-amz-cek-alg", "")
    if cipher != _CIPHER:
        raise UnknownEncryptionError(f"its algorithm is {_word(cipher)}")
    tag_bits = metadata.get("x-amz-tag-len", "128")
    if tag_bits != str(8 * TAG_BYTES):
        raise UnknownEncryptionError(f"its tag has {_word(tag_bits)} bits")
    iv = _bytes(metadata, "x-amz-iv")
    if len(iv) != _IV_BYTES:
        raise UnknownEncryptionError(f"its x-amz-iv has {len(iv)} bytes")
    context = _context(metadata.get("x-amz-matdesc", "{}"))
    if wrapping == "kms+context" and context.get("aws:x-amz-cek-alg") != _CIPHER:
        raise UnknownEncryptionError("its x-amz-matdesc names another algorithm")
    plain_size = _plain_size(metadata.get("x-amz-unencrypted-content-length"), size)
    return ClientEncryption(_bytes(metadata, "x-amz-key-v2"), context, iv, plain_size)


def _refuse_other_versions(metadata: Mapping[str, str]) -> None:
    if "x-amz-key-v2" in metadata:
        return
    if "x-amz-key" in metadata:
        raise UnknownEncryptionError("it is of the S3 encryption client v1 (x-amz-key)")
    if "x-amz-3" in metadata or "x-amz-c" in metadata:
        suite = _word(metadata.get("x-amz-c", ""))
        raise UnknownEncryptionError(f"it is of the S3 encryption client v3, x-amz-c {suite}")
    raise UnknownEncryptionError("it has no data key (x-amz-key-v2)")


def _bytes(metadata: Mapping[str, str], name: str) -> bytes:
    try:
        found = base64.b64decode(metadata.get(name, ""), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not found:
        raise UnknownEncryptionError(f"its {name} is not base64")
    return found


def _context(text: str) -> dict[str, str]:
    try:
        context = json.loads(text)
    except (ValueError, RecursionError):
        context = None
    if not isinstance(context, dict) or not all(isinstance(v, str) for v in context.values()):
        raise UnknownEncryptionError("its x-amz-matdesc is not a JSON object of strings")
    return context


def _plain_size(text: str | None, size: int) -> int | None:
    """Return the mail's size as the metadata gives it; it must fit the size of the object."""
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UnknownEncryptionError("its x-amz-unencrypted-content-length is not a number")
    if size < TAG_BYTES or (text is not None and int(text) != size - TAG_BYTES):
        said = "a mail" if text is None else f"{int(text)} bytes"
        raise UnknownEncryptionError(f"it was not stored whole: {size} bytes, for {said} and a tag")
    return None if text is None else int(text)


def _word(text: str) -> str:
    """Return untrusted text so that a message can show it."""
    if not text:
        return "nothing that it names"
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return shown if len(shown) <= _LONGEST_WORD else f"{shown[:_LONGEST_WORD]}..."
