"""The webhook as it stands at home, with doubles for the ledger and for AWS behind it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from postamt_sync.events import Events
from postamt_sync.http.connection import Limits
from postamt_sync.http.listener import Listener
from postamt_sync.http.sockets import bind
from postamt_sync.intake.notifications import Notifications, OurTopic
from postamt_sync.intake.sns_certificates import Certificates
from postamt_sync.intake.webhook import Webhook
from tests.doubles.inbox import MemoryInbox, MemoryLog, MemorySubscriber
from tests.doubles.sns import (
    BUCKET,
    PREFIX,
    TOPIC,
    CertificateServer,
    Signer,
    body,
    certificate_pem,
    private_key,
    serving_certificate,
)

PATH = "/sns"


@dataclass
class WebhookAtHome:
    aws: CertificateServer
    listener: Listener
    webhook: Webhook
    inbox: MemoryInbox
    subscriber: MemorySubscriber
    log: MemoryLog
    host: str
    port: int
    polls: list[None] = field(default_factory=list)
    health: str = ""

    def signer(self, version: str = "2") -> Signer:
        """What signs as AWS does, with the certificate that AWS serves."""
        return Signer(url=self.aws.url, version=version)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{PATH}"

    async def post(
        self,
        message: Mapping[str, Any] | bytes,
        headers: Mapping[str, str] | None = None,
        url: str = "",
    ) -> tuple[int, str]:
        """Post as SNS does; return status and text of the answer."""
        data = body(message) if isinstance(message, Mapping) else message
        typed = {"Content-Type": "text/plain; charset=UTF-8"} | dict(headers or {})
        async with (
            aiohttp.ClientSession() as session,
            session.post(url or self.url, data=io.BytesIO(data), headers=typed) as answer,
        ):
            return answer.status, (await answer.text()).strip()

    async def talk(self, raw: bytes) -> bytes:
        """Send bytes as they are and return all that comes back until the end."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(raw)
        try:
            return await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def webhook_at_home(
    limits: Limits | None = None,
    body_seconds: float = 10,
    inbox: Any = None,
    accept_sha1: bool = False,
) -> AsyncIterator[WebhookAtHome]:
    """Everything between a socket on loopback and the ledger, for as long as the block runs."""
    async with serving_certificate(certificate_pem(private_key())) as aws:
        log, inbox, subscriber = MemoryLog(), inbox or MemoryInbox(), MemorySubscriber()
        events = Events(log)
        certificates = Certificates(TOPIC, endpoint=aws.origin)
        polls: list[None] = []
        notifications = Notifications(
            place=OurTopic(TOPIC, BUCKET, PREFIX, accept_sha1=accept_sha1),
            keys=certificates,
            inbox=inbox,
            subscriber=subscriber,
            poll_soon=lambda: polls.append(None),
            events=events,
        )
        webhook = Webhook(
            notifications,
            events,
            path=PATH,
            health=lambda: home.health,
            body_seconds=body_seconds,
        )
        listener = Listener(webhook, webhook.refused, events, limits)
        sockets = bind([("127.0.0.1", 0)])
        host, port = sockets[0].getsockname()[:2]
        home = WebhookAtHome(aws, listener, webhook, inbox, subscriber, log, host, port, polls)
        listener.start(sockets)
        try:
            yield home
        finally:
            await listener.close(1)
            await certificates.close()
