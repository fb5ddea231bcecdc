"""The webhook as the daemon runs it, with listener and subscription."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from postamt_sync.config import LiveSettings
from postamt_sync.events import Events
from postamt_sync.http.listener import Listener
from postamt_sync.http.peers import TrustedProxies
from postamt_sync.http.server_certificate import ServerCertificate
from postamt_sync.http.sockets import bind
from postamt_sync.intake.notifications import (
    ArrivalSink,
    CertificateSource,
    Notifications,
    OnReceipt,
    nobody_listens,
    our_topic,
)
from postamt_sync.intake.subscription import Subscription, queue_arn
from postamt_sync.intake.webhook import Webhook, WebhookTally

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient


class WebhookServer:
    """Takes notifications at the public address of one configuration."""

    def __init__(  # noqa: PLR0913 - each is another part of the daemon
        self,
        live: LiveSettings,
        client: SNSClient,
        keys: CertificateSource,
        inbox: ArrivalSink,
        events: Events,
        *,
        poll_soon: Callable[[], None],
        health: Callable[[], str],
        tally: WebhookTally,
        on_receipt: OnReceipt = nobody_listens,
    ) -> None:
        """The settings must have a webhook."""
        settings = live.current
        webhook = settings.webhook
        assert webhook is not None
        self._live = live
        self._settings = webhook
        self._events = events
        dead_letters = settings.queue.dead_letter_url
        self.subscription = Subscription(
            client,
            events,
            topic_arn=webhook.topic_arn,
            url=webhook.public_url,
            dead_letter_arn=queue_arn(dead_letters, webhook.topic_arn) if dead_letters else "",
        )
        notifications = Notifications(
            our_topic(settings),
            keys,
            inbox,
            self.subscription,
            poll_soon,
            events,
            on_receipt=on_receipt,
        )
        self.webhook = Webhook(notifications, events, path=webhook.path, health=health, tally=tally)
        self._listener = Listener(self.webhook, self.webhook.refused, events, proxies=self._proxies)

    def open(self, inherited: Sequence[socket.socket]) -> None:
        """Begin to answer, on the sockets that systemd has opened for us or else on our own.

        Raises PostamtError if an address or the certificate cannot be used.
        """
        self.replace_tls(self._settings.tls_certificate, self._settings.tls_key)
        sockets = list(inherited) or bind([(a.host, a.port) for a in self._settings.listen])
        self._listener.start(sockets)
        for listening in sockets:
            self._events.listening(
                _shown(listening), tls=self._settings.tls_certificate is not None
            )

    def replace_tls(self, certificate: Path | None, key: Path | None) -> None:
        """Use this certificate for new connections; if it is broken, raise and keep the old one."""
        if certificate is not None and key is not None:
            self._listener.replace_tls(certificate, key)

    @property
    def certificate(self) -> ServerCertificate | None:
        """The certificate for new connections; None for plain HTTP."""
        return self._listener.certificate

    async def close(self, grace: float) -> None:
        """Stop answering. Requests that are being answered get `grace` seconds."""
        await self._listener.close(grace)
        await self.subscription.close()

    def _proxies(self) -> TrustedProxies:
        webhook = self._live.current.webhook
        return _trusted(webhook.trusted_proxies if webhook else ())


@lru_cache(maxsize=1)
def _trusted(networks: tuple[str, ...]) -> TrustedProxies:
    return TrustedProxies(networks)


def _shown(listening: socket.socket) -> str:
    name = listening.getsockname()
    if not isinstance(name, tuple):  # systemd may give us a Unix socket, named or abstract
        return f"unix:{os.fsdecode(name)}".replace("\0", "@")
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
