"""`postamt-sync bootstrap verify`: is the AWS side as it should be, and does it work?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from postamt_sync.bootstrap.dns.dns_lookup import resolver_at
from postamt_sync.bootstrap.dns.records import Servers
from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.cli.bootstrap.stack import Out, PositionOption, opened
from postamt_sync.cli.findings import report
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.doctor.stack_verification import Verification
from postamt_sync.errors import ExitCode


def verify(
    resolver: Annotated[
        str,
        typer.Option(
            "--resolver", metavar="ADDRESS", help="The resolver to ask; else the system's."
        ),
    ] = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave out what is asked of the DNS.")
    ] = False,
    position: PositionOption = "",
    out: Out = None,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Check that nothing differs from the plan, and that everything works.

    Looks at SES, its receipt rule and the DNS, invokes the index function, and puts
    a trial object into the bucket that the topic must announce; the trial takes
    everything it made away again. Exits 3 if anything fails; each failure comes with its remedy.

    \b
    Examples:
      postamt-sync bootstrap verify
      postamt-sync bootstrap verify --offline --json
    """
    account = opened(config, out)
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
    if not json:
        account.introduce(Console(highlight=False))
    return report(verification.findings(), json=json)
