"""Sealing as far as a box sees it: the sealed object takes the plain one's place in the bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from postamt_sync.mail.sealed_name import SealedName
from tests.doubles.s3 import S3Double, Stored

SEALED = "sealed/"


def not_encrypted(plain: bytes) -> bytes:
    """Stand for what only gpg could make."""
    return b"-- " + plain[::-1]


def sealed_key(key: str, plain: Stored, prefix: str = "incoming/") -> str:
    at = datetime.fromtimestamp(plain.last_modified, UTC)
    found = SealedName(key.removeprefix(prefix), at, plain.etag, len(plain.body)).key(SEALED)
    assert found is not None
    return found


def seal(
    s3: S3Double,
    *keys: str,
    encrypt: Callable[[bytes], bytes] = not_encrypted,
    keep: bool = False,
    storage_class: str = "STANDARD",
) -> list[str]:
    """Seal plain objects and let them expire, unless they are to be kept; return the new keys."""
    made = []
    for key in keys:
        plain = s3.objects[key]
        digest = hashlib.sha256(plain.body).hexdigest()
        made.append(sealed_key(key, plain))
        s3.put(
            made[-1],
            encrypt(plain.body),
            headers={"x-amz-meta-sha256": digest, "x-amz-meta-version": "null"},
            storage_class=storage_class,
        )
        if not keep:
            del s3.objects[key]
    return made
