"""What boto3 knows: where the bucket answers, whom to trust, and with which credentials to ask.

Its own chains decide all three (environment, profiles, roles, AWS_ENDPOINT_URL, FIPS and dual
stack, AWS_CA_BUNDLE, proxies): what works for the AWS command line works here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials as Chain
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials
from botocore.utils import get_environ_proxies
from yarl import URL

from postamt_sync.awaiting import in_own_thread
from postamt_sync.aws.as_it_runs import as_it_runs
from postamt_sync.aws.clients import ca_bundle, lean_session, unsigned_client
from postamt_sync.aws.error_codes import ErrorCause, cause_of
from postamt_sync.aws.errors import meaning, refusal
from postamt_sync.aws.meanings import GIVE_CREDENTIALS
from postamt_sync.bucket.sigv4 import SigningCredentials
from postamt_sync.errors import (
    CredentialsError,
    MisconfiguredError,
    PostamtError,
)
from postamt_sync.events import printable

if TYPE_CHECKING:
    import boto3


LONGEST_RENEWAL = 45.0
"""Seconds in which credentials have to come; what they come from has bounds of its own."""

_NOT_OF_CREDENTIALS = frozenset(
    {
        ErrorCause.BUSY,
        ErrorCause.CLOCK,
        ErrorCause.NOT_AWS,
        ErrorCause.THROTTLED,
        ErrorCause.UNREACHABLE,
        ErrorCause.UNTRUSTED,
    }
)
_HEADER = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the bucket answers: `path` is the bucket's own, a key comes after it and a `/`.

    `host` is as the Host header names it, without the scheme's own port.
    """

    scheme: str
    host: str
    path: str
    tls: ssl.SSLContext | None
    proxy: URL | None

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect to: name or number of the host, and port."""
        url = urlsplit(f"{self.scheme}://{self.host}")
        return url.hostname or "", url.port or {"http": 80, "https": 443}[self.scheme]


class S3Access:
    """Asks boto3 for the endpoint once, and for the credentials whenever they are due."""

    def __init__(self, bucket: str, region: str, session: boto3.Session | None) -> None:
        self._bucket = bucket
        self._region = region
        self._session = session
        self._endpoint: Endpoint | None = None
        self._chain: Chain | None = None
        self._checked: tuple[ReadOnlyCredentials, SigningCredentials] | None = None
        """What the chain gave last, and what it was found to be."""
        self._asking = asyncio.Lock()

    async def endpoint(self) -> Endpoint:
        """Say where the bucket answers; MisconfiguredError where boto3's settings are broken."""
        if self._endpoint is None:
            async with self._asking:
                if self._endpoint is None:
                    self._endpoint = await in_own_thread(self._find_endpoint)
        return self._endpoint

    async def credentials(self) -> SigningCredentials:
        """Return credentials that are valid now; waits where renewing them needs the network.

        MisconfiguredError where there are none or they cannot be right, TryLaterError where the
        network is in the way.
        """
        if _due(self._chain):
            async with self._asking:
                if _due(self._chain):
                    return await self._renewed()
        assert self._chain is not None
        frozen = self._chain.get_frozen_credentials()
        if self._checked is None or self._checked[0] != frozen:
            self._checked = frozen, _checked(frozen)
        return self._checked[1]

    async def _renewed(self) -> SigningCredentials:
        try:
            return await in_own_thread(self._renew, LONGEST_RENEWAL)
        except TimeoutError as error:
            raise _not_renewed(error) from error

    def _boto3(self) -> boto3.Session:
        if self._session is None:
            self._session = lean_session()
        return self._session

    def _find_endpoint(self) -> Endpoint:
        try:
            location = _bucket_url(self._boto3(), self._bucket, self._region)
            url = urlsplit(location)
            host = (url.hostname or "").lower()
            host = f"[{host}]" if ":" in host else host
            if url.port and url.port != {"http": 80, "https": 443}.get(url.scheme):
                host = f"{host}:{url.port}"
            tls = _trust(self._boto3()) if url.scheme == "https" else None
        except PostamtError:
            raise
        except Exception as error:
            said = str(error) or type(error).__name__
            raise meaning(ErrorCause.SETTINGS, "find the bucket", said=said) from error
        return Endpoint(url.scheme, host, url.path.rstrip("/"), tls, _proxy(location, url.scheme))

    def _renew(self) -> SigningCredentials:
        try:
            self._chain = self._chain or self._boto3().get_credentials()
            frozen = self._chain.get_frozen_credentials() if self._chain else None
        except PostamtError:
            raise
        except Exception as error:  # a login page in front of STS, an odd credential_process
            raise _not_renewed(error) from error
        if frozen is None:
            raise CredentialsError("There are no AWS credentials.", as_it_runs(GIVE_CREDENTIALS))
        return _checked(frozen)


def _due(chain: Chain | None) -> bool:
    """Ask ahead of botocore, whose own check would renew them within the event loop."""
    if isinstance(chain, RefreshableCredentials):
        return chain.refresh_needed()
    return chain is None


def _checked(frozen: ReadOnlyCredentials) -> SigningCredentials:
    access_key, secret_key, token = frozen.access_key, frozen.secret_key, frozen.token or ""
    if not access_key or not secret_key or not _HEADER.fullmatch(access_key + token):
        raise CredentialsError(
            "The AWS credentials are incomplete, or are not keys.", as_it_runs(GIVE_CREDENTIALS)
        )
    return SigningCredentials(access_key, secret_key, token)


def _not_renewed(error: Exception) -> PostamtError:
    cause = cause_of(error)
    if cause in _NOT_OF_CREDENTIALS:
        return refusal("renew the AWS credentials", error)
    said = f"{type(error).__name__}: {error}" if cause is ErrorCause.UNEXPECTED else str(error)
    return meaning(ErrorCause.UNUSABLE_CREDENTIALS, "renew the AWS credentials", said=said)


def _bucket_url(session: boto3.Session, bucket: str, region: str) -> str:
    """Let botocore resolve a request for the bucket, and stop it before it is sent.

    This is the hook of botocore's own Stubber. A presigned URL would be simpler, but for those
    botocore takes the global endpoint.
    """
    urls: list[str] = []

    def stop(params: dict[str, Any], **_: Any) -> Any:
        urls.append(params["url"])
        headers: Any = {}
        return AWSResponse(params["url"], 200, headers, None), {}

    client = unsigned_client(session, "s3", region)
    try:
        client.meta.events.register("before-call.s3.HeadBucket", stop)
        client.head_bucket(Bucket=bucket)
    finally:
        client.close()
    return urls[0]


def _proxy(location: str, scheme: str) -> URL | None:
    """HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as boto3 reads them."""
    named = get_environ_proxies(location).get(scheme, "")
    if not named:
        return None
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise MisconfiguredError(
            f"The proxy of {scheme.upper()}_PROXY is not one that we can use.",
            "Name one as http://host:port, or add the S3 host to NO_PROXY.",
        )
    return proxy


def _trust(session: boto3.Session) -> ssl.SSLContext:
    """Trust whom boto3 trusts: AWS_CA_BUNDLE or the profile's ca_bundle, else its own set."""
    bundle = ca_bundle(session)
    try:
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise MisconfiguredError(
            f"The CA bundle {printable(bundle)} cannot be read: {error.strerror or error}.",
            as_it_runs("Correct AWS_CA_BUNDLE, or ca_bundle in {config}, or remove it."),
        ) from error
