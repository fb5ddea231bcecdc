"""AWS Signature Version 4 for a GET without a body (AWS General Reference, "Signature Version 4").

Only what the fast lane needs: botocore's signer costs a third of the CPU of a mail. The tests hold
the two side by side on every odd key.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class SigningCredentials:
    """What signs. `access_key` and `token` travel in headers: printable ASCII, no spaces."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def canonical_path(key: str) -> str:
    """Encode a key as S3 signs it: once, every `/` kept, and nothing normalised.

    Raises UnicodeEncodeError for text that is not UTF-8 (lone surrogates).
    """
    return quote(key.encode(), safe="/")


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Encode and sort a query; the same string is signed and sent."""
    if not parameters:
        return ""
    pairs = sorted(
        (quote(name.encode(), safe=""), quote(value.encode(), safe=""))
        for name, value in parameters.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


class SigV4Signer:
    """Signs GET requests for S3 in one region."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._key_for = ("", "")
        self._mac = hmac.new(b"", digestmod="sha256")
        self._second, self._stamp = -1, ""

    def sign(
        self,
        credentials: SigningCredentials,
        host: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        now: float,
    ) -> dict[str, str]:
        """Return every header to send: `headers`, those that SigV4 asks for, and Authorization.

        `host` as the Host header names it, `path` and `query` already canonical, `now` in seconds
        since 1970. Header values are single-spaced and fit for HTTP: the caller sees to it.
        """
        stamp = self._stamp_at(int(now))
        signed = {name.lower(): value for name, value in headers.items()}
        signed["host"] = host
        signed["x-amz-content-sha256"] = EMPTY_SHA256
        signed["x-amz-date"] = stamp
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        lines = "".join([f"{name}:{signed[name]}\n" for name in names])
        listed = ";".join(names)
        request = f"GET\n{path}\n{query}\n{lines}\n{listed}\n{EMPTY_SHA256}"
        day = stamp[:8]
        scope = f"{day}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        mac = self._keyed(credentials.secret_key, day)
        mac.update(f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode())
        signature = mac.hexdigest()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _stamp_at(self, second: int) -> str:
        if self._second != second:
            self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._second = second
        return self._stamp

    def _keyed(self, secret: str, day: str) -> hmac.HMAC:
        """Return a HMAC that lacks the message alone.

        The key depends on the day, not on the request: four of five HMACs are spared, and with
        `hmac.digest` other threads would come between, which takes longer than the fifth.
        """
        if self._key_for != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._mac, self._key_for = hmac.new(key, digestmod="sha256"), (secret, day)
        return self._mac.copy()
