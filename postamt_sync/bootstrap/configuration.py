"""The daemon's configuration that goes with a stack: a whole file, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from postamt_sync.bootstrap.change import Note, PlanItem
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.config import Settings
from postamt_sync.config.toml import toml_value
from postamt_sync.events import printable

HTTPS_PORT = 8443
"""Where the webhook listens unless its URL names another port: below 1024 only root may."""

CONFIGURATION = "configuration"
"""How the title begins under which differences from the stack are told."""

PROXIED_PORT = 8080
CERTIFICATE = "/etc/postamt-sync/tls/fullchain.pem"
KEY = "/etc/postamt-sync/tls/privkey.pem"


@dataclass(frozen=True, slots=True)
class Home:
    """What the household decides; the rest follows from the stack.

    `listen` empty means what fits the stack's public URL. With `proxied` something in front of us
    speaks TLS. The first mailbox is the one that gets what matches no address.
    """

    mailboxes: Sequence[str]
    maildirs: str = "/var/mail/vhosts"
    state_dir: str = "/var/lib/postamt-sync"
    listen: Sequence[str] = ()
    proxied: bool = False
    served: Mapping[str, Any] = field(default_factory=dict)
    """The table [home]: what Dovecot and mail clients are told."""


def configuration(stack: Stack, home: Home, queue_urls: Mapping[str, str]) -> str:
    """Return a whole file. `queue_urls` maps the names of the stack's queues to their addresses."""
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
    """Return, table by table, the options that follow from the stack."""
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
    """Options that a person has to change; nothing at AWS does."""

    stack: Stack
    settings: Settings
    queue_urls: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"{CONFIGURATION} {printable(self.settings.source, 100)}"

    def plan(self) -> Iterator[PlanItem]:
        for table, options in wanted(self.stack, self.queue_urls).items():
            section = getattr(self.settings, table)
            for name, value in options.items():
                actual = getattr(section, name)
                if actual != value:
                    yield Note(
                        f"{table}.{name} is {toml_value(actual)}; the stack's is "
                        f"{toml_value(value)}"
                    )

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()
