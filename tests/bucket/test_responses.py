"""S3's refusals in two sentences, and which of them are final."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from postamt_sync.bucket import (
    AccessDeniedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.bucket.responses import Answer, error_document
from postamt_sync.errors import (
    CredentialsError,
    MisconfiguredError,
    PostamtError,
    TryLaterError,
)


def refused(status: int, code: str, key: str | None = "in/a", **headers: str) -> PostamtError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = Answer(status, named, {"Code": code} if code else {}).error("mail", key)
    assert error.problem.endswith(".")
    assert error.hint
    return error


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", ObjectGoneError),
        (400, "KeyTooLongError", ObjectGoneError),
        (412, "PreconditionFailed", ObjectChangedError),
        (403, "InvalidObjectState", ObjectArchivedError),
        (403, "AccessDenied", AccessDeniedError),
        (404, "NoSuchBucket", MisconfiguredError),
        (400, "InvalidBucketName", MisconfiguredError),
        (400, "KMS.DisabledException", MisconfiguredError),
        (403, "AllAccessDisabled", CredentialsError),
        (403, "InvalidAccessKeyId", CredentialsError),
        (403, "SignatureDoesNotMatch", CredentialsError),
        (400, "ExpiredToken", CredentialsError),
        (400, "TokenRefreshRequired", CredentialsError),
        (400, "InvalidToken", CredentialsError),
        (403, "RequestTimeTooSkewed", TryLaterError),
        (503, "SlowDown", TryLaterError),
        (500, "InternalError", TryLaterError),
        (400, "RequestTimeout", TryLaterError),
        (307, "TemporaryRedirect", TryLaterError),
        (418, "Unheard", TryLaterError),
    ],
)
def test_each_code_has_its_meaning(status: int, code: str, kind: type[PostamtError]) -> None:
    assert type(refused(status, code)) is kind


@pytest.mark.parametrize("status", [301, 302, 403, 404, 407, 502])
def test_a_bare_status_is_never_final(status: int) -> None:
    """A proxy or a hotel's login page said it, not S3."""
    assert type(refused(status, "")) is TryLaterError


@pytest.mark.parametrize("code", ["NoSuchKey", "InvalidObjectState"])
def test_what_is_said_of_an_object_is_not_believed_of_a_listing(code: str) -> None:
    assert type(refused(404, code, key=None)) is TryLaterError


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        (503, "SlowDown", True),
        (500, "", True),
        (429, "", True),
        (400, "RequestTimeout", True),
        (404, "NoSuchKey", False),
        (403, "AccessDenied", False),
        (403, "", False),
    ],
)
def test_only_passing_trouble_is_asked_again_at_once(status: int, code: str, again: bool) -> None:
    assert Answer(status, {}, {"Code": code}).passing is again


def test_tells_whether_the_bucket_or_one_object_is_denied() -> None:
    one, all_of_it = refused(403, "AccessDenied"), refused(403, "AccessDenied", key=None)
    assert isinstance(one, AccessDeniedError)
    assert isinstance(all_of_it, AccessDeniedError)
    assert (one.key, all_of_it.key) == ("in/a", None)
    assert "s3:GetObject" in one.hint
    assert "s3:ListBucket" in all_of_it.hint


@pytest.mark.parametrize("where", ["header", "body"])
def test_names_the_right_region(where: str) -> None:
    headers = {"x-amz-bucket-region": "us-east-2"} if where == "header" else {}
    fields = {"Code": "AuthorizationHeaderMalformed"}
    fields |= {"Region": "us-east-2"} if where == "body" else {}
    error = Answer(400, headers, fields).error("mail", None)
    assert isinstance(error, MisconfiguredError)
    assert 'region = "us-east-2"' in error.hint


WRONG_REGION = {
    "IllegalLocationConstraintException": 400,
    "AuthorizationHeaderMalformed": 400,
    "IncorrectEndpoint": 400,
    "PermanentRedirect": 301,
}


@pytest.mark.parametrize("key", ["in/a", None])
@pytest.mark.parametrize("code", WRONG_REGION)
def test_a_wrong_region_is_for_a_person_even_where_none_is_named(
    code: str, key: str | None
) -> None:
    fields = {"Code": code, "Message": "It is elsewhere."}
    answer = Answer(WRONG_REGION[code], {"x-amz-bucket-region": "no region\n"}, fields)
    error = answer.error("mail", key)
    assert type(error) is MisconfiguredError
    assert error.exit_code == 78
    assert "aws.region" in error.hint
    assert "It is elsewhere" in error.hint
    assert "no region" not in str(error)
    assert not answer.passing


@pytest.mark.parametrize("code", WRONG_REGION)
@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"x-amz-bucket-region": "me-south-1"}, {}),
        ({}, {"Region": "me-south-1"}),
        ({}, {"Endpoint": "mail.s3.me-south-1.amazonaws.com"}),
        ({}, {"Endpoint": "mail.s3-me-south-1.amazonaws.com"}),
        ({}, {"Endpoint": "s3.dualstack.me-south-1.amazonaws.com"}),
        ({}, {"Message": "The region 'eu-west-1' is wrong; expecting 'me-south-1'"}),
        (
            {},
            {
                "Message": "The me-south-1 location constraint is incompatible for the region "
                "specific endpoint this request was sent to."
            },
        ),
    ],
)
def test_the_right_region_is_named_wherever_s3_says_it(
    code: str, headers: dict[str, str], fields: dict[str, str]
) -> None:
    error = Answer(WRONG_REGION[code], headers, {"Code": code, **fields}).error("mail", None)
    assert type(error) is MisconfiguredError
    assert 'region = "me-south-1"' in error.hint


@pytest.mark.parametrize(
    ("status", "code"), [(501, "NotImplemented"), (501, ""), (405, "MethodNotAllowed")]
)
def test_what_the_server_cannot_do_is_not_asked_again(status: int, code: str) -> None:
    answer = Answer(status, {}, {"Code": code, "Message": "A header implies more."})
    assert not answer.passing
    for key in ("in/a", None):
        error = answer.error("mail", key)
        assert type(error) is MisconfiguredError
        assert "AWS_ENDPOINT_URL" in error.hint


@pytest.mark.parametrize("key", ["in/a", None])
def test_s3_s_own_reason_is_told_and_no_page(key: str | None) -> None:
    for code in ("AccessDenied", "KMS.DisabledException", "SlowDown", "Odd", "InvalidAccessKeyId"):
        fields = {"Code": code, "Message": "An explicit deny.<html>Hotel</html>"}
        told = str(Answer(403, {}, fields).error("mail", key))
        assert "AWS says" in told
        assert "An explicit deny" in told
        assert "Hotel" not in told
        assert "Hotel" not in str(Answer(403, {}, {"Code": f"{code}<b>Hotel"}).error("mail", key))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3 * 3600 - 60, "3 hours fast"),
        (50 * 3600, "50 hours slow"),
        (1300, "22 minutes slow"),
    ],
)
def test_says_how_far_the_clock_is_off(seconds: float, said: str) -> None:
    error = refused(403, "RequestTimeTooSkewed", Date=formatdate(time.time() + seconds))
    assert said in error.problem
    assert "timedatectl set-ntp true" in error.hint


def test_the_clock_is_named_even_where_the_date_is_none() -> None:
    for headers in ({}, {"Date": "yesterday"}):
        assert "clock" in refused(403, "RequestTimeTooSkewed", **headers).problem


def test_names_the_archive() -> None:
    error = Answer(403, {}, {"Code": "InvalidObjectState", "StorageClass": "DEEP_ARCHIVE\n"}).error(
        "mail", "a"
    )
    assert isinstance(error, ObjectArchivedError)
    assert error.storage_class == "DEEP_ARCHIVE\n"
    assert "DEEP_ARCHIVE\\n" in error.problem


def test_foreign_text_is_made_printable() -> None:
    for key in ("a\nb", "a\x1b[31m", "a\u202eb"):
        for code in ("NoSuchKey", "AccessDenied", "InvalidObjectState"):
            assert str(refused(403, code, key)).isprintable()
        assert str(refused(500, key)).isprintable()
        assert str(refused(301, "PermanentRedirect", x_amz_bucket_region=key)).isprintable()


def test_reads_an_error_document() -> None:
    body = b'<?xml version="1.0"?>\n<Error><Code>SlowDown</Code><Message>a &lt; b</Message></Error>'
    fields = error_document(body)
    assert (fields["Code"], fields["Message"]) == ("SlowDown", "a < b")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><p>login</html>",
        b"<Error><Code>NoSuchKey</Code>",
        b'<?xml version="1.0" encoding="AUTF-8"?><Error><Code>NoSuchKey</Code></Error>',
        b'<!DOCTYPE x [<!ENTITY a "b">]><Error><Code>NoSuchKey</Code></Error>',
    ],
)
def test_what_is_no_error_document_says_nothing(body: bytes) -> None:
    assert error_document(body) == {}
