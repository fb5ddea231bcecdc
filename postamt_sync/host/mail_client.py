"""What a person types into a mail client: where to read, where to send, as whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.aws.smtp import Tls, smtp_server
from postamt_sync.config import Mailbox, Settings
from postamt_sync.errors import MisconfiguredError, UsageError
from postamt_sync.host.dovecot.description import logins_of

IMAPS = 993
SUBMISSIONS = 465
"""Of Dovecot; RFC 8314, section 3.3."""
SUBMISSION = 587


@dataclass(frozen=True, slots=True)
class Server:
    """One way to a server. `user` is empty where we do not know it."""

    host: str
    port: int
    tls: Tls
    user: str


@dataclass(frozen=True, slots=True)
class Client:
    """The settings of one mailbox."""

    mailbox: str
    address: str
    """From whom its mail comes; empty if the mailbox has no address of its own."""
    reading: Server
    sending: tuple[Server, ...]
    """The best way first; they lead to the same place."""
    one_password: bool
    """Whether sending takes the password of reading."""


def client_of(
    settings: Settings, mailbox: Mailbox, *, host: str, submission: bool, smtp_user: str
) -> Client:
    """Return the settings of one mailbox.

    `host` is Dovecot's name, `submission` whether clients send through it too, `smtp_user` the
    user name at SES otherwise. Raises UsageError without a host, MisconfiguredError where SES
    takes no mail over SMTP.
    """
    if not host:
        raise UsageError(
            "It is not known under which name mail clients reach Dovecot.",
            "Set imap_host in the table [home], or give it with: --host mail.example.com",
        )
    login = next(iter(logins_of(mailbox)), mailbox.name)
    return Client(
        mailbox=mailbox.name,
        address=address_of(settings, mailbox),
        reading=Server(host, IMAPS, Tls.IMPLICIT, login),
        sending=_at_home(host, login) if submission else _at_ses(settings.aws.region, smtp_user),
        one_password=submission,
    )


def address_of(settings: Settings, mailbox: Mailbox) -> str:
    """Return the address that a person writes from: the first whole one, else one that arrives."""
    for address in mailbox.addresses:
        if "@" in address:
            return address
    domains = [address for address in mailbox.addresses if not address.startswith(".")]
    if mailbox.default:
        domains += settings.stack.domains
    return f"{mailbox.name}@{domains[0]}" if domains else ""


def domains_of(settings: Settings) -> tuple[str, ...]:
    """Return the domains of all addresses, in the order of the configuration."""
    return tuple(dict.fromkeys(_domains(settings)))


def _domains(settings: Settings) -> Iterator[str]:
    yield from settings.stack.domains
    for mailbox in settings.mailboxes:
        for address in mailbox.addresses:
            domain = address.rpartition("@")[2]
            if not domain.startswith("."):
                yield domain


def _at_home(host: str, login: str) -> tuple[Server, ...]:
    return (
        Server(host, SUBMISSIONS, Tls.IMPLICIT, login),
        Server(host, SUBMISSION, Tls.STARTTLS, login),
    )


def _at_ses(region: str, user: str) -> tuple[Server, ...]:
    server = smtp_server(region)
    if server is None:
        raise MisconfiguredError(
            f"SES takes no mail over SMTP in {region}, so no mail client can send through it.",
            "Use another region for sending; reading does not depend on it.",
        )
    return (
        Server(server.host, server.implicit_tls[0], Tls.IMPLICIT, user),
        Server(server.host, server.starttls[0], Tls.STARTTLS, user),
    )
