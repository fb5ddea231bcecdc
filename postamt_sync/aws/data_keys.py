"""Opening what SES encrypted on its side: KMS gives the data key, which opens the object.

Blocking, and shipped with the functions of index and webmail: it knows nothing but boto3, `aes_gcm`
and `mail`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from postamt_sync.aws.aes_gcm import GcmDecryption, NotAuthenticError
from postamt_sync.mail.client_encryption import KEY_BYTES, ClientEncryption

_NOT_ITS_KEY = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
"""KMS API Reference, "Decrypt": the wrapped key, or its encryption context, is not what it was."""


class NeverOpenedError(Exception):
    """What is stored cannot be opened by anybody, now or later; says why in a few words."""


class NoDataKeyError(Exception):
    """What KMS answered is no key of a mail. It does not say why, and may answer otherwise later;
    says what came in a few words."""


def data_key(kms: Any, encryption: ClientEncryption) -> bytes:
    """Ask KMS for the key of one object; `kms` is a client of boto3.

    Raises NeverOpenedError where KMS says that it is none of its keys, NoDataKeyError where what it
    gives out cannot be one, else what boto3 raises.
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
        raise NoDataKeyError(f"KMS gave out {came} as its data key")
    return key


def plain_text(
    chunks: Iterable[bytes], encryption: ClientEncryption, key: bytes
) -> Iterator[bytes]:
    """Yield the mail. Only at the end it is proven: raises NeverOpenedError, and what came before
    is to be thrown away."""
    opened = GcmDecryption(key, encryption.iv)
    try:
        for chunk in chunks:
            yield opened.feed(chunk)
        yield opened.finish()
    except NotAuthenticError as error:
        raise NeverOpenedError("its bytes were changed, or its data key is another's") from error
