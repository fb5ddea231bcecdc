"""`postamt-sync client`: what to type into a mail client, or a file for it to read."""

from __future__ import annotations

import enum
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from postamt_sync.cli.in_force import complete
from postamt_sync.cli.options import ConfigPath, Debug, known_mailbox
from postamt_sync.cli.printed_json import print_json
from postamt_sync.config import Mailbox, Settings, load
from postamt_sync.config.addresses import normalised_domain
from postamt_sync.config.values import SmtpUserOrEmpty
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.host.mail_client import (
    Client,
    Server,
    apple_profile,
    autoconfig,
    client_of,
    domains_of,
)

UNKNOWN_USER = "what bootstrap wrote as username: AKIA and so on"


class ClientFormat(enum.StrEnum):
    """The form of the settings."""

    TEXT = "text"
    JSON = "json"
    AUTOCONFIG = "autoconfig"
    APPLE = "apple"


def client(
    mailbox: Annotated[
        str,
        typer.Argument(metavar="[MAILBOX]", help="One mailbox; else all.", show_default=False),
    ] = "",
    format: Annotated[
        ClientFormat,
        typer.Option("--format", help="For people, programs, Thunderbird, Apple's Mail."),
    ] = ClientFormat.TEXT,
    host: Annotated[
        str, typer.Option(metavar="NAME", help="Dovecot's name; else home.imap_host.")
    ] = "",
    submission: Annotated[
        bool | None,
        typer.Option(
            "--submission/--no-submission",
            help="Send through Dovecot, or SES; else as home.submission says.",
            show_default=False,
        ),
    ] = None,
    smtp_user: Annotated[
        str, typer.Option(metavar="AKIA...", help="The user name at SES; else home.smtp_user.")
    ] = "",
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show what to type into a mail client, for each mailbox.

    --format autoconfig is one file for the household, for Thunderbird and others:
    put it at https://autoconfig.DOMAIN/mail/config-v1.1.xml. --format apple is a
    profile for one mailbox, to be opened on an iPhone, iPad or Mac. Neither holds
    a password. The DNS records that clients look for: postamt-sync bootstrap dns

    \b
    Examples:
      postamt-sync client
      postamt-sync client --format autoconfig > config-v1.1.xml
      postamt-sync client thomas --format apple > thomas.mobileconfig
    """
    settings = load(config)
    clients = [
        client_of(
            settings,
            one,
            host=_checked(host) or settings.home.imap_host,
            submission=settings.home.submission if submission is None else submission,
            smtp_user=_user(smtp_user) or _shared_user(settings),
        )
        for one in _named(settings, mailbox)
    ]
    match format:
        case ClientFormat.TEXT:
            print("\n".join(map(as_text, clients)), end="")
        case ClientFormat.JSON:
            print_json([asdict(one) for one in clients])
        case ClientFormat.AUTOCONFIG:
            print(_autoconfig(settings, clients[0]), end="")
        case ClientFormat.APPLE:
            sys.stdout.write(_apple(clients).decode())
    return ExitCode.OK


def _shared_user(settings: Settings) -> str:
    """Return the shared user name at SES; empty if each mailbox has its own."""
    return "" if settings.stack.smtp_per_mailbox else settings.home.smtp_user


def as_text(client: Client) -> str:
    """Return the settings for one mailbox as text for people."""
    name = f"{client.mailbox} <{client.address}>" if client.address else client.mailbox
    password = complete(f"as set with: postamt-sync dovecot user add {client.mailbox}")
    lines = [name, "", "  Reading: IMAP", *_server(client.reading, "", password)]
    best, *others = client.sending
    also = "".join(f" (or {other.port} with {other.tls})" for other in others)
    if client.one_password:
        lines += ["", "  Sending: SMTP", *_server(best, also, "the same as for reading")]
    else:
        lines += ["", "  Sending: SMTP, of SES. Its user name and password are not those above."]
        lines += _server(best, also, "what bootstrap wrote as password, beside it")
    return "\n".join(lines) + "\n"


def _server(server: Server, also: str, password: str) -> list[str]:
    return [
        f"    server     {server.host}",
        f"    port       {server.port} with {server.tls}{also}",
        f"    user name  {server.user or UNKNOWN_USER}",
        f"    password   {password}",
    ]


def _autoconfig(settings: Settings, client: Client) -> str:
    if not (domains := domains_of(settings)):
        raise UsageError(
            "No domain is configured that the file could be for.",
            "Name one in addresses of a mailbox, or in domains of the table [stack].",
        )
    if not client.sending[0].user and settings.stack.smtp_per_mailbox:
        raise UsageError(
            "The file is for all, and each mailbox has a user of its own at SES.",
            "Let clients send through Dovecot: submission = true in the table [home].",
        )
    if not client.sending[0].user:
        raise UsageError(
            "The file must name the user at SES, and it is not known.",
            "Set smtp_user in the table [home], or give it with: --smtp-user",
        )
    return autoconfig(client, domains)


def _apple(clients: list[Client]) -> bytes:
    if len(clients) != 1:
        raise UsageError(
            "A profile is for one mailbox.",
            f"Name it, as in: postamt-sync client {clients[0].mailbox} --format apple",
        )
    if not clients[0].address:
        raise UsageError(
            f"The mailbox {clients[0].mailbox!r} has no address that it could write from.",
            "Give it one in addresses.",
        )
    return apple_profile(clients[0])


def _named(settings: Settings, name: str) -> tuple[Mailbox, ...]:
    return (known_mailbox(settings, name),) if name else settings.mailboxes


def _checked(host: str) -> str:
    try:
        return normalised_domain(host) if host else ""
    except ValueError as wrong:
        raise UsageError(f"--host {wrong}", "As in: --host mail.example.com") from None


def _user(name: str) -> str:
    try:
        return TypeAdapter[str](SmtpUserOrEmpty).validate_python(name)
    except ValidationError as wrong:
        sentence = wrong.errors()[0]["ctx"]["error"]
        raise UsageError(f"--smtp-user {sentence}", "As in: --smtp-user AKIA...") from None
