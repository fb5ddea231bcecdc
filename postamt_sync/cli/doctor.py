"""`postamt-sync doctor`: checks every link of the chain, and says what to do about failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.aws.clients import LOOKING
from postamt_sync.aws.smtp import SmtpServer, smtp_server
from postamt_sync.bootstrap.dns.dns_lookup import resolver_at
from postamt_sync.bootstrap.key_file import smtp_credentials as named_for
from postamt_sync.bootstrap.key_place import KeyHints
from postamt_sync.bootstrap.open_stack import open_stack
from postamt_sync.cli.findings import Quiet, report
from postamt_sync.cli.options import ConfigPath, Debug, Json, ResolverAddress, known_mailbox
from postamt_sync.config import Settings, load
from postamt_sync.doctor.check import examine, findings_of
from postamt_sync.doctor.checks import checks
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.round_trip import RoundTrip
from postamt_sync.doctor.sending import ByApi, BySmtp, Sender
from postamt_sync.doctor.simulator import SimulatorCheck, simulator_check
from postamt_sync.errors import ConfigurationError, ExitCode, UsageError
from postamt_sync.events import printable
from postamt_sync.host.smtp_credentials import SmtpCredentials, read_credentials


def doctor(
    resolver: ResolverAddress = "",
    round_trip: Annotated[
        bool,
        typer.Option("--round-trip", help="Send a real mail and wait for it, up to 5 minutes."),
    ] = False,
    send: Annotated[
        bool,
        typer.Option(
            "--send", help="Send a mail to SES's mailbox simulator too, with --smtp-credentials."
        ),
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
    quiet: Quiet = False,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Check every link from the sender to the mail client, all at once, within
    seconds.

    Anything that the daemon needs but does not have is a failure, with its remedy;
    exits 3 if there are any. The daemon's own credentials see little of AWS: what
    they cannot see is a warning. Run it as root on the box to use those, and so try
    what the daemon may do; run it with an administrator's (AWS_PROFILE) to see all
    of AWS. Changes nothing, except that the webhook is subscribed if it is not.

    \b
    Examples:
      sudo postamt-sync doctor
      AWS_PROFILE=admin postamt-sync doctor
      postamt-sync doctor --send --smtp-credentials ./smtp-credentials
      sudo postamt-sync doctor --round-trip --smtp-credentials ./smtp-credentials
      postamt-sync doctor --json | jq '.findings[] | select(.outcome != "ok")'
    """
    trial = _trial(load(config), smtp_credentials) if send else None
    findings: Iterable[Finding]
    if round_trip:
        findings = _travelled(load(config), to, smtp_credentials)
    else:
        findings = _examined(config, resolver)
    findings = chain(findings, findings_of(trial) if trial else ())
    return report(findings, json=json, quiet=quiet)


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
        resolver_at(resolver)  # so that an invalid address is reported before anything begins
    every = checks(settings, lambda: open_stack(settings, LOOKING), lambda: resolver_at(resolver))
    return asyncio.run(examine(every))


def _travelled(settings: Settings, to: str, credentials: Path | None) -> Iterator[Finding]:
    mailbox = known_mailbox(settings, to) if to else settings.default_mailbox
    aws = open_stack(settings, LOOKING)[1]
    sender: Sender = ByApi(aws)
    if credentials is not None:
        sender = BySmtp(*_smtp(settings, credentials))
    return RoundTrip(settings, aws, mailbox, sender).findings()


def _trial(settings: Settings, path: Path | None) -> SimulatorCheck:
    """Return the check that sends with these credentials."""
    if path is None:
        raise UsageError(
            "It is not known with which credentials a mail is to be sent.",
            "Name what bootstrap wrote for mail clients, with: --smtp-credentials FILE",
        )
    server, credentials = _smtp(settings, path)
    mailbox = ""
    if settings.stack.smtp_per_mailbox:
        names = [mailbox.name for mailbox in settings.mailboxes]
        mailbox = next((name for name in names if path.name == named_for(name)), "")
        if not mailbox:
            raise UsageError(
                f"{printable(str(path))} does not have the name of a mailbox's credentials.",
                f"Name one as bootstrap does, as in: {named_for(names[0])}",
            )
    return simulator_check(settings, server, mailbox, credentials)


def _smtp(settings: Settings, path: Path) -> tuple[SmtpServer, SmtpCredentials]:
    server = smtp_server(settings.aws.region)
    if server is None:
        raise UsageError(
            f"SES has no SMTP endpoint in {settings.aws.region}.",
            "Leave --smtp-credentials out and use an administrator's (AWS_PROFILE).",
        )
    known = KeyHints(Path(settings.source).absolute()).smtp_files()
    return server, read_credentials(path, known)
