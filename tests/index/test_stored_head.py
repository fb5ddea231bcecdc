"""How a mail begins that SES encrypted, as the index function reads it."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from postamt_sync.index.stored_head import StoredHead
from tests.doubles.kms import EncryptingSes

MAIL = b"Subject: x\r\n\r\n" + b"mail" * 100_000


class OneObject:
    """S3 with one object, which is what was asked for."""

    def __init__(self, body: bytes, metadata: Mapping[str, str]) -> None:
        self.body, self.metadata = body, metadata
        self.asked: list[Mapping[str, str]] = []

    def get_object(self, **asked: str) -> Any:
        self.asked.append(asked)
        begin, _, end = asked.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = self.body[int(begin) : int(end) + 1 if end else None]
        return {
            "Metadata": self.metadata,
            "ETag": '"e"',
            "ContentRange": f"bytes {begin}-{end}/{len(self.body)}",
            "Body": StreamingBody(io.BytesIO(part), len(part)),
        }


class Scene:
    def __init__(self, change: Mapping[str, str] | None = None, at: int | None = None) -> None:
        self.ses = EncryptingSes()
        body, metadata = self.ses.encrypted(MAIL)
        if at is not None:
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        self.s3 = OneObject(body, {**metadata, **(change or {})})
        self.said: list[tuple[str, Mapping[str, object]]] = []

    def read(self, kms: Any = None) -> bytes | None:
        s3: Any = self.s3
        return StoredHead(s3, "b", kms, lambda *told: self.said.append(told)).read("k", "e")


def test_comes_from_the_plain_text_and_only_when_that_is_proven() -> None:
    scene = Scene()
    head = scene.read(scene.ses.kms)
    assert head is not None
    assert MAIL.startswith(head)
    assert head.startswith(b"Subject: x\r\n\r\n")
    assert scene.s3.asked[1] == {"Bucket": "b", "Key": "k", "IfMatch": '"e"'}
    assert scene.said == []


@pytest.mark.parametrize("at", [3, 300_000, 400_020])
def test_of_what_was_changed_nothing_is_said(at: int) -> None:
    scene = Scene(at=at)
    assert scene.read(scene.ses.kms) is None
    assert scene.said[0][0] == "encrypted, and cannot be opened"


def test_an_unknown_algorithm_is_named_in_the_log() -> None:
    scene = Scene({"x-amz-cek-alg": "AES/CBC/PKCS5Padding"})
    assert scene.read(scene.ses.kms) is None
    assert "AES/CBC" in str(scene.said[0][1]["reason"])


def test_where_it_is_not_to_be_opened_it_has_no_header() -> None:
    scene = Scene()
    assert scene.read() is None
    assert scene.said == [("encrypted, and kms is not on", {})]


def test_what_kms_refuses_for_now_is_raised_to_be_tried_again() -> None:
    scene = Scene()
    scene.ses.kms.refuses = ["ThrottlingException"]
    with pytest.raises(ClientError):
        scene.read(scene.ses.kms)


def test_it_needs_no_more_than_python_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Lambda, whose runtime has no `cryptography`."""
    scene = Scene()
    found = importlib.import_module

    def find(name: str) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return found(name)

    monkeypatch.setattr(importlib, "import_module", find)
    head = scene.read(scene.ses.kms)
    assert head is not None
    assert MAIL.startswith(head)
