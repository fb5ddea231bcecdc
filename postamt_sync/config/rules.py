"""Rules that compare options with each other.

A rule says nothing where an option that it needs could not be read: that has been said already.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import BaseModel

from postamt_sync.config.findings import ConfigFinding, ConfigFindings
from postamt_sync.config.listen import parse_listen, unix_path
from postamt_sync.config.mailbox_rules import (
    addresses_unique,
    backup_elsewhere,
    folders_over_lmtp,
    mailboxes_exist,
    mailboxes_reachable,
    maildirs_apart,
    names_unique,
    one_default,
    state_outside_maildirs,
)
from postamt_sync.config.seal_rules import keys_apart, prefix_to_seal, sealed_beside
from postamt_sync.config.settings import Settings, WebhookSettings
from postamt_sync.config.stack_settings import HomeSettings
from postamt_sync.config.webmail_rules import (
    host_among_domains,
    host_apart,
    host_given,
    prefixes_beside_sent,
)


def apply_rules(settings: Settings, findings: ConfigFindings) -> None:
    """Add what breaks a rule; `settings` may lack the options that could not be read."""
    for rule in RULES:
        try:
            for finding in rule(settings):
                findings.add(finding)
        except AttributeError as missing:
            if not _is_unread(missing):
                raise


def _is_unread(missing: AttributeError) -> bool:
    model = missing.obj
    return isinstance(model, BaseModel) and missing.name in type(model).model_fields


def prefixes_apart(settings: Settings) -> Iterator[ConfigFinding]:
    """Each mail is stored under both prefixes; one inside the other would bring it twice."""
    archive, recent = settings.bucket.prefix, settings.bucket.recent_prefix
    if recent and recent != archive and (recent.startswith(archive) or archive.startswith(recent)):
        yield ConfigFinding(
            ("bucket", "recent_prefix"),
            f'must lie beside prefix ("{archive}"), not inside it or around it: '
            "each mail would come twice.",
            'prefix = "incoming/", recent_prefix = "recent/"',
        )


def certificate_with_key(settings: Settings) -> Iterator[ConfigFinding]:
    webhook = settings.webhook
    if webhook is not None:
        yield from _one_of_two(
            "webhook", webhook, "or neither for plain HTTP behind a proxy.", "/etc/postamt-sync/tls"
        )
    yield from _one_of_two(
        "home",
        settings.home,
        "or neither to use the webhook's.",
        "/etc/letsencrypt/live/mail.example.com",
    )


def _one_of_two(
    table: str, section: WebhookSettings | HomeSettings, otherwise: str, directory: str
) -> Iterator[ConfigFinding]:
    if (section.tls_certificate is None) != (section.tls_key is None):
        missing = "tls_key" if section.tls_key is None else "tls_certificate"
        yield ConfigFinding(
            (table, missing),
            f"is missing: certificate and key are given both, {otherwise}",
            f'{missing} = "{directory}/{"privkey" if missing == "tls_key" else "fullchain"}.pem"',
        )


def notifications_arrive(settings: Settings) -> Iterator[ConfigFinding]:
    """SNS posts to `public_url`; a path that we do not serve would lose every notification."""
    webhook = settings.webhook
    if webhook is None:
        return
    path = urlsplit(webhook.public_url).path or "/"
    if path != webhook.path:
        yield ConfigFinding(
            ("webhook", "public_url"),
            f'must have the path "{webhook.path}", as the option path says, not "{path}". '
            "A reverse proxy in between must hand the path on unchanged.",
            f'path = "{path}"',
        )


def listeners_apart(settings: Settings) -> Iterator[ConfigFinding]:
    if settings.webhook is None:
        return
    taken = set()
    for number, address in enumerate(settings.webhook.listen):
        if address.port and address in taken:
            yield ConfigFinding(("webhook", "listen", number), f"stands twice: {address}.")
        taken.add(address)
    admin = settings.admin.listen
    if not admin or unix_path(admin) is not None:
        return
    if parse_listen(admin).port and parse_listen(admin) in taken:
        yield ConfigFinding(
            ("admin", "listen"),
            f"must differ from where the webhook listens ({admin}).",
            'listen = "127.0.0.1:9125"',
        )


def queues_apart(settings: Settings) -> Iterator[ConfigFinding]:
    queue = settings.queue
    if queue.url and queue.url == queue.dead_letter_url:
        yield ConfigFinding(("queue", "dead_letter_url"), "must be another queue than url.")


def topic_pinned(settings: Settings) -> Iterator[ConfigFinding]:
    """Whoever may write into a queue could otherwise announce whatever they like."""
    queue, webhook = settings.queue, settings.webhook
    at = ("queue", "topic_arn")
    if webhook is None and (queue.url or queue.dead_letter_url) and not queue.topic_arn:
        yield ConfigFinding(
            at,
            "is missing: where there is no [webhook], it names the one topic that is believed.",
            'topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"',
        )
    if webhook is not None and queue.topic_arn not in ("", webhook.topic_arn):
        yield ConfigFinding(
            at,
            f"must be the topic of the webhook ({webhook.topic_arn}), or be left out.",
            f'topic_arn = "{webhook.topic_arn}"',
        )


RULES = (
    prefixes_apart,
    certificate_with_key,
    notifications_arrive,
    listeners_apart,
    queues_apart,
    topic_pinned,
    mailboxes_exist,
    names_unique,
    one_default,
    addresses_unique,
    mailboxes_reachable,
    maildirs_apart,
    state_outside_maildirs,
    backup_elsewhere,
    folders_over_lmtp,
    host_given,
    host_among_domains,
    host_apart,
    prefixes_beside_sent,
    keys_apart,
    prefix_to_seal,
    sealed_beside,
)
