"""Decrypts mail that SES encrypted client-side: KMS unwraps the data key, which opens the object.

Blocking. It ships with the index and webmail functions, so it imports only boto3, `aes_gcm` and
`mail`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from postamt_sync.aws.aes_gcm import GcmDecryption, NotAuthenticError
from postamt_sync.mail.client_encryption import KEY_BYTES, ClientEncryption

_NOT_ITS_KEY = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
"""KMS API Reference, "Decrypt": the wrapped key or its encryption context was changed."""


class NeverOpenedError(Exception):
    """Nobody can ever decrypt what is stored; the message says why in a few words."""


class NoDataKeyError(Exception):
    """KMS returned something that cannot be a data key. It may do better later, so this is
    temporary; the message says in a few words what came."""


def data_key(kms: Any, encryption: ClientEncryption) -> bytes:
    """Ask KMS for the data key of one object; `kms` is a boto3 client.

    Raises NeverOpenedError if KMS says that the wrapped key is not one of its own, NoDataKeyError
    if it returns something that cannot be a key, otherwise what boto3 raises.
    """
    try:
        answer = kms.decrypt(
            CiphertextBlob=encryption.wrapped_key, EncryptionContext=dict(encryption.context)
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code", "") in _NOT_ITS_KEY:
            raise NeverOpenedError("KMS says that its data key was changed") from error
        raise
    key = answer.get("Plaintext")
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        came = f"{len(key)} bytes" if isinstance(key, bytes) else "nothing"
        raise NoDataKeyError(f"KMS returned {came} as its data key")
    return key


def plain_text(
    chunks: Iterable[bytes], encryption: ClientEncryption, key: bytes
) -> Iterator[bytes]:
    """Yield the plaintext. Only the end proves it authentic: if NeverOpenedError is raised, discard
    everything that came before."""
    opened = GcmDecryption(key, encryption.iv)
    try:
        for chunk in chunks:
            yield opened.feed(chunk)
        yield opened.finish()
    except NotAuthenticError as error:
        raise NeverOpenedError("its bytes were changed, or its data key is another's") from error
