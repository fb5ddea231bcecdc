"""The fast lane: signed GETs over a pool of kept connections.

A request is tried a few times in quick succession as long as nothing of the answer has come; the
long pauses belong to the ledger.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
import time
from collections.abc import Mapping

import aiohttp
from yarl import URL

from postamt_sync import __version__
from postamt_sync.bucket.connections import (
    CONNECT_SECONDS,
    IDLE_SECONDS,
    ConnectionPool,
    closed,
)
from postamt_sync.bucket.endpoint import Endpoint, S3Access
from postamt_sync.bucket.kept_connection import HttpAnswer
from postamt_sync.bucket.responses import Answer, error_document
from postamt_sync.bucket.sigv4 import SigV4Signer, canonical_path, canonical_query
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup

ATTEMPTS = 3
FIRST_PAUSE = 0.2
"""Seconds; the pause before the next attempt is a random part of it, then of its double."""

LONGEST_REFUSAL = 64 << 10
REFUSAL_SECONDS = 15.0
"""For all of it: an answer may never end."""

_HEADERS = {
    # The stored bytes are the mail: nobody may pack or unpack them on the way.
    "Accept-Encoding": "identity",
    "User-Agent": f"postamt-sync/{__version__}",
}
_ALWAYS = "".join(f"{name}: {value}\r\n" for name, value in {**_HEADERS, "Accept": "*/*"}.items())

BROKEN = (aiohttp.ClientError, TimeoutError, OSError)
"""What is raised when the network fails, before or within a body."""
_UNTRUSTED = (aiohttp.ClientSSLError, ssl.SSLError)


Incoming = HttpAnswer | aiohttp.ClientResponse
"""What answers, its body still to come."""


class S3HttpClient:
    """Connections to one bucket. Open it in the event loop that uses it, close it after."""

    def __init__(self, bucket: str, region: str, account: S3Access) -> None:
        self._bucket = bucket
        self._account = account
        self._signer = SigV4Signer(region)
        self._limits: tuple[int, float] | None = None
        self._pool: ConnectionPool | None = None
        self._session: aiohttp.ClientSession | None = None

    def open(self, connections: int, stalled_after: float) -> None:
        """At most `connections` at once; a peer silent for `stalled_after` seconds is given up."""
        self._limits = connections, stalled_after

    async def close(self) -> None:
        self._limits = None
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
            await asyncio.sleep(0)  # in which the loop closes the sockets of what was ended
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(
        self, key: str | None, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Incoming:
        """GET an object, or the bucket itself where `key` is None; the caller closes the answer.

        Returns with status 200 and the body still to come. Raises what `Answer.error` makes of a
        refusal, TryLaterError where S3 cannot be reached, MisconfiguredError without credentials.
        """
        endpoint = await self._account.endpoint()
        path = endpoint.path or "/"
        if key is not None:
            path = f"{endpoint.path}/{canonical_path(key)}"
        attempt = 1
        while True:
            try:
                response = await self._ask(endpoint, path, canonical_query(query), headers)
                if response.status == 200:
                    return response
                answer = await _refusal(response)
            except BROKEN as error:
                if attempt == ATTEMPTS or isinstance(error, _UNTRUSTED):
                    raise unreachable(endpoint.host, error) from error
            else:
                if attempt == ATTEMPTS or not answer.passing:
                    raise answer.error(self._bucket, key)
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE * 2 ** (attempt - 1)))  # noqa: S311
            attempt += 1

    async def _ask(
        self, endpoint: Endpoint, path: str, query: str, headers: Mapping[str, str]
    ) -> Incoming:
        credentials = await self._account.credentials()
        signed = self._signer.sign(credentials, endpoint.host, path, query, headers, time.time())
        target = f"{path}?{query}" if query else path
        if endpoint.proxy is not None:
            return await self._ask_proxy(endpoint, target, signed)
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        request = f"GET {target} HTTP/1.1\r\n{lines}{_ALWAYS}\r\n"
        return await self._connections(endpoint).ask(request.encode("ascii"))

    def _connections(self, endpoint: Endpoint) -> ConnectionPool:
        if self._pool is None:
            self._pool = ConnectionPool(*endpoint.address, endpoint.tls, *self._open_limits())
        return self._pool

    def _open_limits(self) -> tuple[int, float]:
        if self._limits is None:  # closed while an attempt waited for its turn
            raise closed()
        return self._limits

    async def _ask_proxy(
        self, endpoint: Endpoint, target: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Proxies are rare and of many kinds: aiohttp's own client knows them."""
        if self._session is None:
            connections, stalled_after = self._open_limits()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=stalled_after
                ),
                headers=_HEADERS,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                # Reads ~/.netrc and the proxies again, in threads, for every request.
                trust_env=False,
            )
        # encoded: yarl would resolve ".." and decode what S3 signs as it was sent.
        return await self._session.get(
            URL(f"{endpoint.scheme}://{endpoint.host}{target}", encoded=True),
            headers=headers,
            allow_redirects=False,
            ssl=endpoint.tls or True,
            proxy=endpoint.proxy,
        )


async def _refusal(response: Incoming) -> Answer:
    try:
        body = bytearray()
        async with asyncio.timeout(REFUSAL_SECONDS):
            async for chunk in response.content.iter_chunked(LONGEST_REFUSAL):
                body += chunk
                if len(body) > LONGEST_REFUSAL:
                    body.clear()
                    break
    finally:
        response.close()
    return Answer(response.status, response.headers, error_document(bytes(body)))


def unreachable(host: str, error: Exception) -> TryLaterError:
    """Say in two sentences how the network failed."""
    host = printable(host)
    said = printable(without_markup(str(error)))
    if isinstance(error, _UNTRUSTED):
        return TryLaterError(
            f"The TLS certificate of {host} is not accepted: {said}.",
            "Check this machine's clock and, behind a proxy, AWS_CA_BUNDLE.",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return TryLaterError(
            f"The name {host} cannot be looked up.",
            "Check the network and aws.region; it is tried again.",
        )
    if isinstance(error, TimeoutError):
        return TryLaterError(f"{host} stopped answering.", "Check the network; it is tried again.")
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else said or type(error).__name__
    return TryLaterError(
        f"The connection to {host} failed: {reason}.",
        "Check the network; it is tried again.",
    )
