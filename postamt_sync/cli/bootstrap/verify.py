"""`postamt-sync bootstrap verify`: checks that the AWS side is as planned, and that it works."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import typer

from postamt_sync.aws.smtp import smtp_server
from postamt_sync.bootstrap.dns.dns_lookup import resolver_at
from postamt_sync.bootstrap.dns.records import Servers
from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.cli.bootstrap.stack import Opened, Out, PositionOption, Wheel, opened
from postamt_sync.cli.console import open_console
from postamt_sync.cli.findings import Quiet, report
from postamt_sync.cli.options import ConfigPath, Debug, Json, ResolverAddress
from postamt_sync.doctor.check import findings_of
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.simulator import simulator_check
from postamt_sync.doctor.stack_verification import Verification
from postamt_sync.errors import ExitCode
from postamt_sync.host.smtp_credentials import read_credentials


def verify(
    resolver: ResolverAddress = "",
    offline: Annotated[bool, typer.Option("--offline", help="Do not check the DNS.")] = False,
    send: Annotated[
        bool,
        typer.Option(
            "--send", help="Send a mail to SES's mailbox simulator too, by SMTP as people do."
        ),
    ] = False,
    position: PositionOption = "",
    out: Out = None,
    wheel: Wheel = None,
    quiet: Quiet = False,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Check that nothing differs from the plan, and that everything works.

    Checks SES, its receipt rule and the DNS, invokes the index function, and puts a
    test object into the bucket that the topic must announce; the test removes
    everything that it made. With --send, each SMTP user sends a mail that nobody
    gets and, if each mailbox has its own user, tries to send as another.
    Exits 3 if anything fails; each failure comes with its remedy.

    \b
    Examples:
      postamt-sync bootstrap verify
      postamt-sync bootstrap verify --send
      postamt-sync bootstrap verify --offline --json
    """
    account = opened(config, out, wheel)
    home = account.settings.home
    verification = Verification(
        account.stack,
        account.aws,
        account.resources(position),
        Servers(home.imap_host, relay=home.submission),
        None if offline else resolver_at(resolver),
        SmokeTest(account.stack, account.aws),
        account.line.typed("bootstrap apply"),
    )
    if not json and not quiet:
        account.introduce(open_console())
    findings = verification.findings()
    return report(chain(findings, _sent(account) if send else ()), json=json, quiet=quiet)


def _sent(account: Opened) -> Iterator[Finding]:
    """Try every SMTP user whose credentials are here."""
    server = smtp_server(account.stack.region)
    for one in account.keys.sending:
        assert server is not None, "no key is made where there is no server"
        found = one.key.where(one.key.keys())
        if found is None:
            words = f"Not tried: the credentials of {one.key.user} are not in {one.file.path}."
            remedy = "Name the directory that has them with --out."
            yield Finding(f"sending {one.mailbox}".rstrip(), Severity.WARNING, words, remedy)
            continue
        credentials = read_credentials(found[1])
        check = simulator_check(account.settings, server, one.mailbox, credentials)
        yield from findings_of(check)
    if not account.keys.sending:
        words = "Not tried: there is no SMTP user."
        remedy = f"SES has no SMTP endpoint in {account.stack.region}, or no mailbox sends."
        yield Finding("sending", Severity.WARNING, words, remedy)
