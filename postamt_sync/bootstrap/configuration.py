"""The daemon's configuration for a stack: a complete file, and how an existing one differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from postamt_sync.bootstrap.change import Note, NoteKind, PlanItem
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.config import Settings
from postamt_sync.config.toml import toml_value
from postamt_sync.events import printable

HTTPS_PORT = 8443
"""Where the webhook listens unless its URL names a port: ports below 1024 are for root."""

PROXIED_PORT = 8080
CERTIFICATE = "/etc/postamt-sync/tls/fullchain.pem"
KEY = "/etc/postamt-sync/tls/privkey.pem"


@dataclass(frozen=True, slots=True)
class Home:
    """What the household decides; everything else follows from the stack.

    An empty `listen` means whatever fits the stack's public URL. With `proxied`, something in front
    of us terminates TLS. The first mailbox is the default: it gets mail that matches no address.
    """

    mailboxes: Sequence[str]
    maildirs: str = "/var/mail/vhosts"
    state_dir: str = "/var/lib/postamt-sync"
    listen: Sequence[str] = ()
    proxied: bool = False
    served: Mapping[str, Any] = field(default_factory=dict)
    """The options of [home], used to set up Dovecot and mail clients."""


def configuration(stack: Stack, home: Home, queue_urls: Mapping[str, str]) -> str:
    """Return a complete configuration file. `queue_urls` maps the stack's queue names to URLs."""
    lines = [
        "# The configuration of postamt-sync. Every option is explained in config.example.toml.",
        "",
        *_options({"state_dir": home.state_dir}),
        *_aws(stack, queue_urls, home),
        "",
        "[stack]",
        *_options({"name": stack.name, "domains": list(stack.domains)}),
    ]
    if home.served:
        lines += ["", "[home]", *_options(home.served)]
    for number, name in enumerate(home.mailboxes):
        maildir = PurePosixPath(home.maildirs) / stack.domains[0] / name / "Maildir"
        addresses = [f"{name}@{domain}" for domain in stack.domains]
        options: dict[str, Any] = {"name": name, "maildir": str(maildir), "addresses": addresses}
        if number == 0:
            options["default"] = True
        lines += ["", "[[mailboxes]]", *_options(options)]
    return "\n".join(lines) + "\n"


def wanted(stack: Stack, queue_urls: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the options that follow from the stack, by table."""
    tables: dict[str, dict[str, Any]] = {
        "aws": {"region": stack.region},
        "bucket": {
            "name": stack.bucket,
            "prefix": stack.prefix,
            "recent_prefix": stack.recent_prefix,
        },
        "queue": {
            "url": queue_urls[stack.queue],
            "dead_letter_url": queue_urls[stack.dead_letter_queue],
        },
        "index": {"table": stack.table},
    }
    if stack.public_url:
        tables["webhook"] = {"public_url": stack.public_url, "topic_arn": stack.topic_arn}
    else:
        tables["queue"]["topic_arn"] = stack.topic_arn
    return tables


def _aws(stack: Stack, queue_urls: Mapping[str, str], home: Home) -> Iterator[str]:
    for table, options in wanted(stack, queue_urls).items():
        yield ""
        yield f"[{table}]"
        if table == "webhook":
            yield from _webhook(stack.public_url, home)
        yield from _options(options)


def _webhook(public_url: str, home: Home) -> Iterator[str]:
    url = urlsplit(public_url)
    encrypted = url.scheme == "https" and not home.proxied
    if home.listen:
        listen = list(home.listen)
    elif home.proxied:
        listen = [f"127.0.0.1:{PROXIED_PORT}"]
    else:
        port = url.port or HTTPS_PORT
        listen = [f"0.0.0.0:{port}", f"[::]:{port}"]
        if url.port is None:
            yield f"# Let the router forward port 443 to port {port} of this machine."
    yield from _options({"listen": listen, "path": url.path or "/"})
    if encrypted:
        yield from _options({"tls_certificate": CERTIFICATE, "tls_key": KEY})


def _options(options: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {toml_value(value)}" for name, value in options.items()]


@dataclass(frozen=True, slots=True)
class ConfigDrift:
    """Options that differ from the stack. Only a person can change them, so they are all notes."""

    stack: Stack
    settings: Settings
    queue_urls: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"configuration {printable(self.settings.source, 100)}"

    def plan(self) -> Iterator[PlanItem]:
        for table, options in wanted(self.stack, self.queue_urls).items():
            section = getattr(self.settings, table)
            for name, value in options.items():
                actual = getattr(section, name)
                if actual != value:
                    yield Note(
                        f"{table}.{name} is {toml_value(actual)}; the stack's is "
                        f"{toml_value(value)}",
                        NoteKind.CONFIGURATION,
                    )

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()
