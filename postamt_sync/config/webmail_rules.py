"""Rules for the webmail: its name in the DNS, and room in the bucket for what it sends."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from postamt_sync.config.findings import ConfigFinding
from postamt_sync.config.settings import Settings
from postamt_sync.mail.sent_mail import OUTBOX_PREFIX, SENT_PREFIX

_HOST = ("webmail", "host")


def host_given(settings: Settings) -> Iterator[ConfigFinding]:
    webmail = settings.webmail
    if webmail.enabled and not webmail.host:
        yield ConfigFinding(
            _HOST, "is missing: it is the name that a browser is given.", _example(settings)
        )


def host_among_domains(settings: Settings) -> Iterator[ConfigFinding]:
    """The certificate is given to whoever writes the DNS of the name: that has to be ours."""
    webmail, domains = settings.webmail, settings.stack.domains
    if not webmail.enabled or not webmail.host:
        return
    if not domains:
        yield ConfigFinding(
            ("stack", "domains"),
            "must name the domain that webmail.host is of.",
            'domains = ["example.com"]',
        )
    elif not any(webmail.host == d or webmail.host.endswith(f".{d}") for d in domains):
        yield ConfigFinding(
            _HOST,
            f"must be a name of a domain in stack.domains ({', '.join(domains)}), "
            f"not {webmail.host}.",
            _example(settings),
        )


def host_apart(settings: Settings) -> Iterator[ConfigFinding]:
    """The name leads to CloudFront: whatever else is reached by it would be reached no more."""
    webmail = settings.webmail
    if not webmail.enabled or not webmail.host:
        return
    for option, taken in _taken(settings):
        if webmail.host == taken:
            yield ConfigFinding(
                _HOST,
                f"must be another name than {taken}, which is taken by {option}.",
                _example(settings),
            )
            return


def prefixes_beside_sent(settings: Settings) -> Iterator[ConfigFinding]:
    """What was sent lies in places of its own, which tell it from what came."""
    if not settings.webmail.enabled:
        return
    for option in ("prefix", "recent_prefix"):
        prefix: str = getattr(settings.bucket, option)
        if option == "recent_prefix" and not prefix:
            continue
        for taken in (SENT_PREFIX, OUTBOX_PREFIX):
            if prefix.startswith(taken) or taken.startswith(prefix):
                yield ConfigFinding(
                    ("bucket", option),
                    f'must lie beside "{taken}", where the webmail keeps what it sends, not inside '
                    "it or around it.",
                    'prefix = "incoming/", recent_prefix = "recent/"',
                )
                break


def _taken(settings: Settings) -> Iterator[tuple[str, str]]:
    stack = settings.stack
    for domain in stack.domains:
        yield "stack.mail_from", f"{stack.mail_from}.{domain}"
    yield "home.imap_host", settings.home.imap_host
    if settings.webhook is not None:
        yield "webhook.public_url", urlsplit(settings.webhook.public_url).hostname or ""


def _example(settings: Settings) -> str:
    domain = next(iter(settings.stack.domains), "example.com")
    return f'host = "webmail.{domain}"'
