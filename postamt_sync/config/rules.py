"""Rules that compare options with each other.

A rule says nothing where an option that it needs could not be read: that has been said already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel

from postamt_sync.config.findings import ConfigFinding, ConfigFindings
from postamt_sync.config.listen import parse_listen, unix_path
from postamt_sync.config.settings import (
    DeliverySettings,
    HomeSettings,
    Mailbox,
    Settings,
    WebhookSettings,
)
from postamt_sync.config.values import comparable
from postamt_sync.config.webmail_rules import (
    host_among_domains,
    host_apart,
    host_given,
    prefixes_beside_sent,
)
from postamt_sync.threads import ask_disk


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


def mailboxes_exist(settings: Settings) -> Iterator[ConfigFinding]:
    if not settings.mailboxes:
        yield ConfigFinding(("mailboxes",), "must have at least one entry.", "[[mailboxes]]")


def names_unique(settings: Settings) -> Iterator[ConfigFinding]:
    seen: dict[str, int] = {}
    for number, mailbox in _readable(settings, "name"):
        if mailbox.name in seen:
            yield ConfigFinding(
                ("mailboxes", number, "name"),
                f'must be unique; "{mailbox.name}" is also the name of '
                f"mailbox #{seen[mailbox.name] + 1}.",
            )
        seen.setdefault(mailbox.name, number)


def one_default(settings: Settings) -> Iterator[ConfigFinding]:
    mailboxes = settings.mailboxes
    defaults = [number for number, mailbox in _readable(settings, "default") if mailbox.default]
    for number in defaults[1:]:
        yield ConfigFinding(
            ("mailboxes", number, "default"),
            f"must be true for one mailbox only; {_label(settings, defaults[0])} is the default.",
            "default = false",
        )
    if mailboxes and not defaults and all("default" in m.__dict__ for m in mailboxes):
        yield ConfigFinding(
            ("mailboxes",),
            "must have one default, which gets what matches no address.",
            "default = true",
        )


def addresses_unique(settings: Settings) -> Iterator[ConfigFinding]:
    seen: dict[str, int] = {}
    for number, mailbox in _readable(settings, "addresses"):
        for place, address in enumerate(mailbox.addresses):
            first = seen.setdefault(comparable(address), number)
            here = ("mailboxes", number, "addresses", place)
            if first != number:
                yield ConfigFinding(
                    here,
                    f'"{address}" is in two mailboxes: {_label(settings, first)} and '
                    f"{_label(settings, number)}. Keep it in one.",
                )
            elif [comparable(a) for a in mailbox.addresses[:place]].count(comparable(address)):
                yield ConfigFinding(
                    here, f'"{address}" stands twice in {_label(settings, number)}.'
                )


def mailboxes_reachable(settings: Settings) -> Iterator[ConfigFinding]:
    for number, mailbox in _readable(settings, "addresses"):
        if not mailbox.addresses and not mailbox.default:
            yield ConfigFinding(
                ("mailboxes", number, "addresses"),
                "must not be empty: only the default mailbox gets mail without.",
                'addresses = ["thomas@example.com"]',
            )


def maildirs_apart(settings: Settings) -> Iterator[ConfigFinding]:
    """Links are followed: `/var/spool/mail` and `/var/mail` are one place on Debian."""
    places = [(n, m, _real(m.maildir)) for n, m in _readable(settings, "maildir")]
    for index, (number, _, place) in enumerate(places):
        for other, _, earlier in places[:index]:
            at = ("mailboxes", number, "maildir")
            if place == earlier:
                yield ConfigFinding(at, f"is the Maildir of {_label(settings, other)} too.")
            elif place.is_relative_to(earlier):
                yield ConfigFinding(at, f"lies inside the Maildir of {_label(settings, other)}.")
            elif earlier.is_relative_to(place):
                yield ConfigFinding(at, f"lies around the Maildir of {_label(settings, other)}.")


def state_outside_maildirs(settings: Settings) -> Iterator[ConfigFinding]:
    state = _real(settings.state_dir)
    for number, mailbox in _readable(settings, "maildir"):
        if state.is_relative_to(_real(mailbox.maildir)):
            yield ConfigFinding(
                ("state_dir",),
                f"must not lie inside the Maildir of {_label(settings, number)}.",
                'state_dir = "/var/lib/postamt-sync"',
            )


def backup_elsewhere(settings: Settings) -> Iterator[ConfigFinding]:
    """The state directory has a copy anyway; a Maildir is no place for files of ours."""
    if settings.backup_dir is None:
        return
    backup = _real(settings.backup_dir)
    if backup == _real(settings.state_dir):
        yield ConfigFinding(
            ("backup_dir",),
            "must be another directory than state_dir, best on another disk.",
            'backup_dir = "/mnt/second-disk/postamt-sync"',
        )
    for number, mailbox in _readable(settings, "maildir"):
        if backup.is_relative_to(_real(mailbox.maildir)):
            yield ConfigFinding(
                ("backup_dir",), f"must not lie inside the Maildir of {_label(settings, number)}."
            )


def folders_over_lmtp(settings: Settings) -> Iterator[ConfigFinding]:
    """Over LMTP the folder is a part of the address, and Dovecot 2.3 takes ASCII alone there."""
    by_lmtp = [m.name for _, m in _readable(settings, "delivery") if m.delivery == "lmtp"]
    if not by_lmtp:
        return
    for option in ("junk_folder", "virus_folder", "dmarc_folder"):
        if not getattr(settings.delivery, option).isascii():
            yield ConfigFinding(
                ("delivery", option),
                "must have plain letters, digits and signs (ASCII) only, for the mailbox "
                f'"{by_lmtp[0]}" gets its mail over LMTP, which names folders by no others.',
                f'{option} = "{DeliverySettings.model_fields[option].default}"',
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
)


def _readable(settings: Settings, option: str) -> Iterator[tuple[int, Mailbox]]:
    """Yield the mailboxes whose `option` could be read: one bad entry must not hide the others."""
    for number, mailbox in enumerate(settings.mailboxes):
        if option in mailbox.__dict__:
            yield number, mailbox


def _label(settings: Settings, number: int) -> str:
    name = settings.mailboxes[number].__dict__.get("name")
    return f'"{name}"' if name else f"mailbox #{number + 1}"


def _real(path: Path) -> Path:
    """Follow links; a disk that hangs is the business of its mailbox, and no link."""
    return ask_disk(lambda: Path(os.path.realpath(path)), path)
