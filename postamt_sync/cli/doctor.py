"""`postamt-sync doctor`: checks every link of the chain, and says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.aws.clients import LOOKING
from postamt_sync.aws.smtp import smtp_server
from postamt_sync.bootstrap.dns.dns_lookup import resolver_at
from postamt_sync.bootstrap.key_place import KeyHints
from postamt_sync.bootstrap.open_stack import open_stack
from postamt_sync.cli.findings import report
from postamt_sync.cli.options import ConfigPath, Debug, Json, known_mailbox
from postamt_sync.config import Settings, load
from postamt_sync.doctor.check import Finding, Severity, examine
from postamt_sync.doctor.checks import checks
from postamt_sync.doctor.round_trip import RoundTrip
from postamt_sync.doctor.sending import ByApi, BySmtp, Sender
from postamt_sync.errors import ConfigurationError, ExitCode, UsageError
from postamt_sync.host.smtp_credentials import read_credentials


def doctor(
    resolver: Annotated[
        str,
        typer.Option(
            "--resolver", metavar="ADDRESS", help="The resolver to ask; else the system's."
        ),
    ] = "",
    round_trip: Annotated[
        bool,
        typer.Option("--round-trip", help="Send a real mail and wait for it, up to 5 minutes."),
    ] = False,
    to: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The mailbox it goes to; else the default.", show_default=False
        ),
    ] = "",
    smtp_credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send by SMTP with these, which bootstrap wrote for mail clients.",
            show_default=False,
        ),
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Check every link from the sender to the mail client, all at once, within
    seconds.

    What the daemon needs and does not have is a failure, each with its remedy;
    exits 3 if there is any. The daemon's own credentials see little of AWS: what
    they cannot see is a warning. Run it with those, and as root, to try what the
    daemon may do, and with an administrator's (AWS_PROFILE) to see all of AWS.
    Nothing is changed, but that the webhook is subscribed where it is not.

    \b
    Examples:
      sudo AWS_SHARED_CREDENTIALS_FILE=/etc/postamt-sync/credentials \\
        postamt-sync doctor
      AWS_PROFILE=admin postamt-sync doctor
      sudo postamt-sync doctor --round-trip --smtp-credentials ./smtp-credentials
      postamt-sync doctor --json | jq '.findings[] | select(.outcome != "ok")'
    """
    if round_trip:
        findings = _travelled(load(config), to, smtp_credentials)
    else:
        findings = iter(_examined(config, resolver))
    return report(findings, json=json)


def _examined(config: ConfigPath, resolver: str) -> list[Finding]:
    try:
        settings = load(config)
    except ConfigurationError as error:
        return [
            Finding(
                f"configuration {problem.key}",
                Severity.FAILURE,
                problem.wrong,
                f"Example: {problem.example}" if problem.example else error.hint,
            )
            for problem in error.problems
        ]
    if resolver:
        resolver_at(resolver)  # what is no address is said before anything begins
    every = checks(settings, lambda: open_stack(settings, LOOKING), lambda: resolver_at(resolver))
    return asyncio.run(examine(every))


def _travelled(settings: Settings, to: str, credentials: Path | None) -> Iterator[Finding]:
    mailbox = known_mailbox(settings, to) if to else settings.default_mailbox
    aws = open_stack(settings, LOOKING)[1]
    sender: Sender = ByApi(aws)
    if credentials is not None:
        server = smtp_server(settings.aws.region)
        if server is None:
            raise UsageError(
                f"SES takes no mail over SMTP in {settings.aws.region}.",
                "Leave --smtp-credentials out and use an administrator's (AWS_PROFILE).",
            )
        sender = BySmtp(
            server,
            read_credentials(credentials, KeyHints(Path(settings.source).absolute()).smtp_files()),
        )
    return RoundTrip(settings, aws, mailbox, sender).findings()
