"""The stored mail as S3 tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from postamt_sync.webmail.mail_store import (
    MailClosedError,
    MailGoneError,
    S3MailStore,
    SealedPrefixes,
)
from tests.doubles.kms import EncryptingSes
from tests.index.test_stored_head import OneObject


def said(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "GetObject")


class Forbidding:
    """S3, which forbids to read whatever it is asked for, and lists `keys` or refuses that too."""

    def __init__(self, code: str, keys: list[str] | None) -> None:
        self.code = code
        self.keys = keys

    def get_object(self, **_: Any) -> Any:
        raise said(self.code)

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Any:  # noqa: N803
        if self.keys is None:
            raise said("AccessDenied")
        for key in self.keys:
            if key.startswith(Prefix):
                moment = type("Moment", (), {"timestamp": lambda _: 0.0})()
                each = {"Key": key, "ETag": '"x"', "Size": 1, "LastModified": moment}
                yield {"Contents": [each]}
        yield {}


@pytest.mark.parametrize("code", ["NoSuchKey", "404", "AccessDenied", "403"])
def test_what_is_gone_is_gone_though_s3_calls_it_forbidden(code: str) -> None:
    """As it does to whoever may list below a prefix alone."""
    store = S3MailStore(Forbidding(code, ["incoming/other", "incoming/one-more"]), "b")  # type: ignore[arg-type]
    with pytest.raises(MailGoneError) as gone:
        store.read("incoming/one")
    assert not gone.value.archived


def test_what_no_key_can_be_is_not_there() -> None:
    """An id comes from outside, and may be longer than a key of S3."""
    store = S3MailStore(Forbidding("KeyTooLongError", []), "b")  # type: ignore[arg-type]
    with pytest.raises(MailGoneError):
        store.head("incoming/" + "x" * 1_024, 10)


@pytest.mark.parametrize("keys", [["incoming/one"], None])
def test_what_is_there_and_forbidden_is_told_as_that(keys: list[str] | None) -> None:
    store = S3MailStore(Forbidding("AccessDenied", keys), "b")  # type: ignore[arg-type]
    with pytest.raises(ClientError):
        store.read("incoming/one")


def test_what_lies_in_an_archive_is_told() -> None:
    store = S3MailStore(Forbidding("InvalidObjectState", []), "b")  # type: ignore[arg-type]
    with pytest.raises(MailGoneError) as gone:
        store.head("incoming/one", 10)
    assert gone.value.archived


class TestEncryptedBySes:
    MAIL = b"Subject: x\r\n\r\n" + b"mail" * 50_000

    def store(self, ses: EncryptingSes, *, kms: bool = True, **change: str) -> S3MailStore:
        body, metadata = ses.encrypted(self.MAIL)
        s3: Any = OneObject(body, {**metadata, **change})
        return S3MailStore(s3, "b", ses.kms if kms else None)

    def test_is_read_in_plain_text(self) -> None:
        store = self.store(EncryptingSes())
        assert store.read("k") == self.MAIL
        assert store.head("k", 20) == self.MAIL[:20]

    def test_is_not_to_be_downloaded_as_it_is_stored(self) -> None:
        assert self.store(EncryptingSes()).presigned("k", "mail.eml") == ""

    @pytest.mark.parametrize("refusal", ["AccessDeniedException", "ThrottlingException"])
    def test_whose_key_is_refused_is_told_so(self, refusal: str) -> None:
        ses = EncryptingSes()
        ses.kms.refuses = [refusal]
        store = self.store(ses)
        with pytest.raises(MailClosedError) as told:
            store.read("k")
        assert "KMS key" in told.value.problem
        assert store.read("k") == self.MAIL

    def test_otherwise_than_ses_does_is_named(self) -> None:
        with pytest.raises(MailClosedError) as told:
            self.store(EncryptingSes(), **{"x-amz-cek-alg": "AES/CBC"}).head("k", 10)
        assert "AES/CBC" in told.value.problem

    def test_and_not_to_be_opened_is_told_so(self) -> None:
        with pytest.raises(MailClosedError, match="gone") as told:
            self.store(EncryptingSes(), kms=False).read("k")
        assert "SES has encrypted" in told.value.problem


class TestSealed:
    """The plain object has gone, and its sealed one stands for it."""

    SEALED = "sealed/one/20261128T144447Z.0123456789abcdef0123456789abcdef.9.pgp"

    @pytest.mark.parametrize("code", ["NoSuchKey", "AccessDenied"])
    def test_is_told_with_how_to_open_it(self, code: str) -> None:
        s3: Any = Forbidding(code, ["incoming/other", self.SEALED])
        store = S3MailStore(s3, "b", None, SealedPrefixes("incoming/", "sealed/"))
        with pytest.raises(MailClosedError) as told:
            store.read("incoming/one")
        assert "postamt-sync unseal incoming/one" in told.value.problem

    @pytest.mark.parametrize("key", ["incoming/on", "incoming/one/x", "sent/one"])
    def test_is_not_told_of_another(self, key: str) -> None:
        s3: Any = Forbidding("NoSuchKey", [self.SEALED, "sealed/on/x.pgp"])
        store = S3MailStore(s3, "b", None, SealedPrefixes("incoming/", "sealed/"))
        with pytest.raises(MailGoneError) as told:
            store.read(key)
        assert not isinstance(told.value, MailClosedError)

    def test_where_it_may_not_be_looked_for_it_is_gone(self) -> None:
        s3: Any = Forbidding("NoSuchKey", None)
        store = S3MailStore(s3, "b", None, SealedPrefixes("incoming/", "sealed/"))
        with pytest.raises(MailGoneError) as told:
            store.read("incoming/one")
        assert not isinstance(told.value, MailClosedError)
