"""boto3's chains decide: endpoint, trust, credentials."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MetadataRetrievalError,
)
from botocore.parsers import ResponseParserError
from yarl import URL

from postamt_sync.bucket.endpoint import S3Access
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from tests.support.aws_session import core_session


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], boto3.Session]:
    """Write ~/.aws/config and return a session that reads it, and no other AWS setting."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    def make(lines: str) -> boto3.Session:
        config = tmp_path / "config"
        config.write_text(f"[default]\n{lines}\n")
        own: Any = core_session()
        own.set_config_variable("config_file", str(config))
        own.set_config_variable("credentials_file", str(tmp_path / "none"))
        return boto3.Session(botocore_session=own)

    return make


@pytest.mark.parametrize(
    ("bucket", "settings", "host", "path"),
    [
        ("mail-x", "", "mail-x.s3.eu-west-1.amazonaws.com", ""),
        ("mail.example.com", "", "s3.eu-west-1.amazonaws.com", "/mail.example.com"),
        ("mail", "endpoint_url = http://localhost:9000", "localhost:9000", "/mail"),
        ("mail", "endpoint_url = http://[::1]:9000/base/", "[::1]:9000", "/base/mail"),
        ("mail", "endpoint_url = https://S3.example.org:443", "s3.example.org", "/mail"),
        ("mail", "use_fips_endpoint = true", "mail.s3-fips.eu-west-1.amazonaws.com", ""),
        ("mail", "use_dualstack_endpoint = true", "mail.s3.dualstack.eu-west-1.amazonaws.com", ""),
        ("mail", "s3 =\n  addressing_style = path", "s3.eu-west-1.amazonaws.com", "/mail"),
    ],
)
async def test_the_endpoint_is_the_one_boto3_would_ask(
    profile: Callable[[str], boto3.Session], bucket: str, settings: str, host: str, path: str
) -> None:
    endpoint = await S3Access(bucket, "eu-west-1", profile(settings)).endpoint()
    assert (endpoint.host, endpoint.path) == (host, path)
    assert (endpoint.tls is not None) == (endpoint.scheme == "https")


@pytest.mark.slow
async def test_trusts_only_the_ca_bundle_that_is_set(
    profile: Callable[[str], boto3.Session], tmp_path: Path
) -> None:
    usual = await S3Access("mail", "eu-west-1", profile("")).endpoint()
    assert usual.tls is not None
    authorities = usual.tls.get_ca_certs(binary_form=True)
    assert len(authorities) > 10
    bundle = tmp_path / "ca.pem"
    bundle.write_text(ssl.DER_cert_to_PEM_cert(authorities[0]))
    endpoint = await S3Access("mail", "eu-west-1", profile(f"ca_bundle = {bundle}")).endpoint()
    assert endpoint.tls is not None
    assert endpoint.tls.get_ca_certs(binary_form=True) == authorities[:1]


@pytest.mark.parametrize(
    ("bucket", "region", "settings"),
    [
        ("ma/il", "eu-west-1", ""),
        ("mail", "eu west", ""),
        ("mail", "eu-west-1", "endpoint_url = localhost:9000"),
        ("mail", "eu-west-1", "ca_bundle = /nowhere/ca.pem"),
    ],
)
async def test_settings_that_cannot_be_used_are_for_a_person(
    profile: Callable[[str], boto3.Session], bucket: str, region: str, settings: str
) -> None:
    account = S3Access(bucket, region, profile(settings))
    with pytest.raises(MisconfiguredError) as caught:
        await account.endpoint()
    assert caught.value.problem.isprintable()
    assert caught.value.hint


async def test_a_profile_that_is_not_there_is_for_a_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(MisconfiguredError, match="no-such-profile"):
        await S3Access("mail", "eu-west-1", None).endpoint()


@pytest.mark.parametrize(
    ("variable", "value", "exempt", "proxy"),
    [
        ("https_proxy", "http://proxy.example:3128", "", "http://proxy.example:3128"),
        ("https_proxy", "proxy.example:3128", "", "http://proxy.example:3128"),
        ("https_proxy", "http://proxy.example:3128", "amazonaws.com", None),
        ("http_proxy", "http://proxy.example:3128", "", None),
    ],
)
async def test_takes_the_proxy_that_boto3_would_take(
    profile: Callable[[str], boto3.Session],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    exempt: str,
    proxy: str | None,
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("no_proxy", exempt)
    endpoint = await S3Access("mail", "eu-west-1", profile("")).endpoint()
    assert endpoint.proxy == (None if proxy is None else URL(proxy))


@pytest.mark.parametrize("value", ["socks5://proxy.example:1080", "http://", "http://[x"])
async def test_a_proxy_that_is_none_is_for_a_person(
    profile: Callable[[str], boto3.Session], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("https_proxy", value)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(MisconfiguredError, match="HTTPS_PROXY"):
        await S3Access("mail", "eu-west-1", profile("")).endpoint()


class Chain(botocore.session.Session):
    """A botocore session whose chain ends in these credentials."""

    def __init__(self, *found: Any) -> None:
        super().__init__()
        self._found = list(found)

    def get_credentials(self, *_: Any, **__: Any) -> Any:
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


def account(*found: Any) -> S3Access:
    return S3Access("mail", "eu-west-1", boto3.Session(botocore_session=Chain(*found)))


def pair(access_key: str, secret_key: str = "s", token: str | None = None) -> Any:
    return botocore.credentials.Credentials(access_key, secret_key, token)


class Renewing:
    """A role whose credentials run out: counts its renewals and the threads they ran in."""

    def __init__(self, minutes: float = 60, failure: Exception | None = None) -> None:
        self.minutes = minutes
        self.failure = failure
        self.threads: list[int] = []

    def metadata(self) -> dict[str, Any]:
        self.threads.append(threading.get_ident())
        if self.failure is not None:
            raise self.failure
        until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=self.minutes)
        return {
            "access_key": f"ASIA{len(self.threads)}",
            "secret_key": "s",
            "token": "t",
            "expiry_time": until.isoformat(),
        }

    def credentials(self) -> RefreshableCredentials:
        return RefreshableCredentials.create_from_metadata(self.metadata(), self.metadata, "test")


async def test_renews_credentials_in_a_thread_when_they_are_due() -> None:
    role = Renewing(minutes=1)
    ours = account(role.credentials())
    role.minutes = 60
    assert (await ours.credentials()).access_key == "ASIA2"
    assert (await ours.credentials()).access_key == "ASIA2"
    assert role.threads[1:] != [threading.get_ident()]
    assert len(role.threads) == 2


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (EndpointConnectionError(endpoint_url="https://sts.example"), TryLaterError),
        (MetadataRetrievalError(error_msg="no route"), TryLaterError),
        (ResponseParserError("a login page"), TryLaterError),
        (CredentialRetrievalError(provider="process", error_msg="exit\n1"), MisconfiguredError),
        (
            ClientError({"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "x"),
            TryLaterError,
        ),
        (
            ClientError({"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "x"),
            TryLaterError,
        ),
        (
            ClientError(
                {
                    "Error": {"Code": "AccessDenied", "Message": "no"},
                    "ResponseMetadata": {"HTTPStatusCode": 403},
                },
                "AssumeRole",
            ),
            MisconfiguredError,
        ),
        (ValueError("Expecting value: line 1 column 1 (char 0)"), MisconfiguredError),
        (FileNotFoundError(2, "No such file", "helper"), MisconfiguredError),
    ],
)
async def test_says_why_credentials_cannot_be_renewed(
    failure: Exception, kind: type[PostamtError]
) -> None:
    role = Renewing(minutes=-1)
    ours = account(role.credentials())
    role.failure = failure
    with pytest.raises(kind) as caught:
        await ours.credentials()
    assert str(caught.value).isprintable()


async def test_no_credentials_is_for_a_person_and_is_asked_again() -> None:
    ours = account(None, pair("AKIA"))
    with pytest.raises(MisconfiguredError, match="no AWS credentials"):
        await ours.credentials()
    assert (await ours.credentials()).access_key == "AKIA"


@pytest.mark.parametrize(
    "found",
    [
        pair("AKIA\r\nX-Evil: 1"),
        pair("AKIA", token="t\n"),
        pair("AKIÄ"),
        pair("AK IA"),
        pair("AKIA", ""),
        pair(""),
    ],
)
async def test_what_can_be_no_key_never_becomes_a_header(found: Any) -> None:
    with pytest.raises(MisconfiguredError, match="are not keys"):
        await account(found).credentials()
