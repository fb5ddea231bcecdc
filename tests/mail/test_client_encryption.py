"""What an object's metadata say of its encryption."""

from __future__ import annotations

import base64
import json

import pytest

from postamt_sync.mail.client_encryption import (
    UnknownEncryptionError,
    client_encryption,
    is_client_encrypted,
)

GOOD = {
    "x-amz-key-v2": base64.b64encode(b"wrapped").decode(),
    "x-amz-iv": base64.b64encode(b"i" * 12).decode(),
    "x-amz-cek-alg": "AES/GCM/NoPadding",
    "x-amz-wrap-alg": "kms",
    "x-amz-tag-len": "128",
    "x-amz-matdesc": '{"aws:ses:message-id": "m"}',
    "x-amz-unencrypted-content-length": "84",
}
SIZE = 100


def test_what_ses_writes_is_read() -> None:
    found = client_encryption(GOOD, SIZE)
    assert found is not None
    assert (found.wrapped_key, found.iv, found.plain_size) == (b"wrapped", b"i" * 12, 84)
    assert found.context == {"aws:ses:message-id": "m"}


def test_a_plain_object_is_not_encrypted() -> None:
    for metadata in ({}, {"sha256": "ab"}, {"x-amz-something": "x"}):
        assert client_encryption(metadata, SIZE) is None
        assert not is_client_encrypted(metadata)


def test_optional_metadata_may_be_absent() -> None:
    for name in ("x-amz-tag-len", "x-amz-matdesc", "x-amz-unencrypted-content-length"):
        assert client_encryption({k: v for k, v in GOOD.items() if k != name}, SIZE) is not None


def test_a_context_that_binds_the_algorithm() -> None:
    bound = {**GOOD, "x-amz-wrap-alg": "kms+context"}
    right = json.dumps({"aws:x-amz-cek-alg": "AES/GCM/NoPadding"})
    assert client_encryption({**bound, "x-amz-matdesc": right}, SIZE) is not None
    with pytest.raises(UnknownEncryptionError, match="another algorithm"):
        client_encryption(bound, SIZE)


WRONG = {
    "v1": ({"x-amz-key": "AAAA", "x-amz-iv": "AAAA"}, "v1"),
    "v3": ({"x-amz-c": "115", "x-amz-3": "AAAA", "x-amz-w": "12"}, "v3, x-amz-c 115"),
    "no key at all": ({"x-amz-iv": "AAAA"}, "no data key"),
    "CBC": (GOOD | {"x-amz-cek-alg": "AES/CBC/PKCS5Padding"}, "AES/CBC/PKCS5Padding"),
    "CTR": (GOOD | {"x-amz-cek-alg": "AES/CTR/NoPadding"}, "AES/CTR/NoPadding"),
    "a key under RSA": (GOOD | {"x-amz-wrap-alg": "RSA-OAEP-SHA1"}, "RSA-OAEP-SHA1"),
    "a key under AES": (GOOD | {"x-amz-wrap-alg": "AESWrap"}, "AESWrap"),
    "unnamed wrapping": ({"x-amz-key-v2": "AAAA"}, "nothing that it names"),
    "another case": (GOOD | {"x-amz-cek-alg": "aes/gcm/nopadding"}, "aes/gcm/nopadding"),
    "a short tag": (GOOD | {"x-amz-tag-len": "96"}, "96"),
    "no tag": (GOOD | {"x-amz-tag-len": "0"}, "tag has 0"),
    "a long IV": (GOOD | {"x-amz-iv": base64.b64encode(b"i" * 16).decode()}, "16 bytes"),
    "an IV that is none": (GOOD | {"x-amz-iv": "%%%"}, "x-amz-iv"),
    "a key that is none": (GOOD | {"x-amz-key-v2": ""}, "x-amz-key-v2"),
    "a key outside of ASCII": (GOOD | {"x-amz-key-v2": "ä"}, "x-amz-key-v2"),
    "a context that is no object": (GOOD | {"x-amz-matdesc": "[1]"}, "x-amz-matdesc"),
    "a context of numbers": (GOOD | {"x-amz-matdesc": '{"a": 1}'}, "x-amz-matdesc"),
    "a context without end": (GOOD | {"x-amz-matdesc": "[" * 100_000}, "x-amz-matdesc"),
    "a length that is none": (GOOD | {"x-amz-unencrypted-content-length": "-1"}, "not a number"),
    "a length in other digits": (GOOD | {"x-amz-unencrypted-content-length": "٣"}, "not a number"),
    "cut where it was stored": (GOOD | {"x-amz-unencrypted-content-length": "85"}, "100 bytes"),
}


@pytest.mark.parametrize(("metadata", "named"), WRONG.values(), ids=WRONG.keys())
def test_anything_else_is_named(metadata: dict[str, str], named: str) -> None:
    assert is_client_encrypted(metadata)
    with pytest.raises(UnknownEncryptionError, match=named) as told:
        client_encryption(metadata, SIZE)
    assert str(told.value).isascii()


def test_shorter_than_a_tag_was_not_stored_whole() -> None:
    with pytest.raises(UnknownEncryptionError, match="not stored whole"):
        client_encryption({**GOOD, "x-amz-unencrypted-content-length": "0"}, 15)


def test_a_foreign_name_is_made_fit_to_be_shown() -> None:
    with pytest.raises(UnknownEncryptionError) as told:
        client_encryption(GOOD | {"x-amz-cek-alg": "\x1b[31m" + "x" * 900 + "\n"}, SIZE)
    assert len(str(told.value)) < 120
    assert str(told.value).isprintable()
