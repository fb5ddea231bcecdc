"""KMS as far as mail needs it, in this process, and SES, which encrypts mail with a key of it.

ses = EncryptingSes()
s3.put("incoming/a", **ses.stored(b"mail"))
Bucket(..., data_keys=DataKeys(ses.kms))
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ACCOUNT = "123456789012"


class KmsDouble:
    """One key, and what may be in its way: `refuses` holds codes for the next calls."""

    def __init__(self) -> None:
        self.refuses: list[str] = []
        self.asked: list[Mapping[str, str]] = []
        self._key = AESGCM(os.urandom(32))

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._key.encrypt(nonce, key, _bound(context))

    def decrypt(self, *, CiphertextBlob: bytes, EncryptionContext: Mapping[str, str]) -> Any:  # noqa: N803
        self.asked.append(EncryptionContext)
        if self.refuses:
            raise refused(self.refuses.pop(0))
        try:
            plain = self._key.decrypt(
                CiphertextBlob[:12], CiphertextBlob[12:], _bound(EncryptionContext)
            )
        except (InvalidTag, ValueError):
            raise refused("InvalidCiphertextException") from None
        return {"Plaintext": plain, "KeyId": "arn:aws:kms:eu-west-1:123456789012:key/k"}


def refused(code: str) -> ClientError:
    said: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(said, "Decrypt")


def _bound(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()


class EncryptingSes:
    """Stores mail as SES does where the S3 action of its rule names a KMS key."""

    def __init__(self, kms: Any = None) -> None:
        self.kms = kms or KmsDouble()

    def metadata(self, mail: bytes, iv: bytes, key: bytes) -> dict[str, str]:
        context = {
            "aws:ses:message-id": "m",
            "aws:ses:rule-name": "postamt",
            "aws:ses:source-account": ACCOUNT,
            "kms_cmk_id": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k",
        }
        wrapped = self.kms.wrap(key, context)
        return {
            "x-amz-key-v2": base64.b64encode(wrapped).decode(),
            "x-amz-iv": base64.b64encode(iv).decode(),
            "x-amz-cek-alg": "AES/GCM/NoPadding",
            "x-amz-wrap-alg": "kms",
            "x-amz-tag-len": "128",
            "x-amz-matdesc": json.dumps(context),
            "x-amz-unencrypted-content-length": str(len(mail)),
        }

    def encrypted(self, mail: bytes) -> tuple[bytes, dict[str, str]]:
        """Return body and metadata (names without x-amz-meta-)."""
        key, iv = os.urandom(32), os.urandom(12)
        return AESGCM(key).encrypt(iv, mail, None), self.metadata(mail, iv, key)

    def stored(self, mail: bytes) -> dict[str, Any]:
        """Return what `S3Double.put` takes."""
        body, metadata = self.encrypted(mail)
        return {"body": body, "headers": as_headers(metadata)}


def as_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"x-amz-meta-{name}": value for name, value in metadata.items()}


class EmulatedKms:
    """A key of an emulator's KMS, by a client of boto3."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._key = client.create_key()["KeyMetadata"]["KeyId"]

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        answer = self._client.encrypt(KeyId=self._key, Plaintext=key, EncryptionContext=context)
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped
