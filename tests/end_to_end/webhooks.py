"""A home whose webhook hears from an SNS of ours, which signs as AWS does."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.doubles.sns import (
    TOPIC,
    Signer,
    body,
    certificate_pem,
    private_key,
    receipt,
    serving_certificate,
)
from tests.end_to_end.home import Home
from tests.support.ports import reserved_port

WEBHOOK = """
[webhook]
listen = "127.0.0.1:{port}"
path = "/sns"
public_url = "{scheme}://127.0.0.1:{port}/sns"
topic_arn = "{topic}"
"""
TLS = """tls_certificate = "{certificate}"
tls_key = "{key}"
"""


class Reachable(Home):
    """A home with a webhook; its SNS is nothing more than a certificate, so nobody subscribes."""

    def __init__(self, root: Path, environment: Mapping[str, str], signer: Signer) -> None:
        super().__init__(root, environment)
        self.port = reserved_port()
        self._signer = signer
        self.configure(WEBHOOK.format(port=self.port, scheme="http", topic=TOPIC))

    def configure_tls(self, certificate: Path, key: Path) -> None:
        webhook = WEBHOOK.format(port=self.port, scheme="https", topic=TOPIC)
        self.configure(webhook + TLS.format(certificate=certificate, key=key))

    def notification(self, key: str, *recipients: str) -> bytes:
        return body(self._signer.notification(receipt(key, "mail", *recipients)))

    async def post(self, session: aiohttp.ClientSession, notification: bytes) -> int:
        async with session.post(f"http://127.0.0.1:{self.port}/sns", data=notification) as answer:
            return answer.status

    async def announce(self, key: str, *recipients: str) -> int:
        async with aiohttp.ClientSession() as session:
            return await self.post(session, self.notification(key, *recipients))


@asynccontextmanager
async def reachable(root: Path, environment: Mapping[str, str]) -> AsyncIterator[Reachable]:
    """A home that finds its SNS on loopback, for as long as the block runs."""
    async with serving_certificate(certificate_pem(private_key())) as aws:
        sns = {"AWS_ENDPOINT_URL_SNS": aws.origin}
        home = Reachable(root, {**environment, **sns}, Signer(url=aws.url))
        try:
            yield home
        finally:
            await asyncio.to_thread(home.close)


def shown_certificate(port: int) -> bytes:
    """Return, as DER, the certificate that a new connection is shown."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
