"""`postamt-sync setup`: from nothing to mail, in one conversation."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.dns.dns_lookup import resolver_at
from postamt_sync.bootstrap.rule_position import read_position
from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.cli import in_force
from postamt_sync.cli.bootstrap.dns import show as show_records
from postamt_sync.cli.bootstrap.stack import Opened, PositionOption, may_ask
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.join import can_become_root, join_here
from postamt_sync.cli.options import Debug, NewDomains
from postamt_sync.cli.setup_aws import (
    Wishes,
    make_all,
    open_account,
    wanted_records,
    write_configuration,
)
from postamt_sync.cli.setup_bundle import USUAL, contents, first_mail_of, hand_over
from postamt_sync.cli.setup_credentials import administrator
from postamt_sync.cli.setup_dns import watch
from postamt_sync.cli.setup_questions import (
    ask_all,
    flagged,
    open_questions,
    refuse_open,
    show_answers,
    suggested,
)
from postamt_sync.config.values import stack_name
from postamt_sync.doctor.finding import Severity
from postamt_sync.doctor.round_trip import RoundTrip
from postamt_sync.doctor.sending import ByApi
from postamt_sync.errors import ExitCode, PostamtError, UsageError
from postamt_sync.setup.answers import CONFIGURATION, AnswerFile, Answers, setup_directory

STACK = "postamt"
_HOPS_SEEN_FROM_HERE = 2
"""Steps of the round trip: sending, and the bucket. Ledger and Maildir are on the box."""


def setup(
    domain: NewDomains = None,
    person: Annotated[
        list[str] | None,
        typer.Option("--person", metavar="NAME", help="Who gets mail; repeat it, main one first."),
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="NAME", help="The AWS region.")] = None,
    public_url: Annotated[
        str, typer.Option(metavar="NAME", help="Where the world reaches the box.")
    ] = "",
    no_port: Annotated[bool, typer.Option("--no-port", help="No port is open to the box.")] = False,
    here: Annotated[
        bool | None,
        typer.Option("--here/--elsewhere", help="The box is this machine.", show_default=False),
    ] = None,
    dovecot: Annotated[
        bool | None,
        typer.Option(
            "--dovecot/--other-server", help="Dovecot serves over IMAP.", show_default=False
        ),
    ] = None,
    imap_host: Annotated[
        str | None, typer.Option(metavar="NAME", help="The box's name for mail clients.")
    ] = None,
    certificate: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Its chain on the box; none: found or made there."),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="The stack's name; else postamt, or as before.")
    ] = "",
    position: PositionOption = "",
    bundle: Annotated[
        Path, typer.Option(metavar="PATH", help="The file that is made for the box.")
    ] = USUAL,
    new_bundle: Annotated[
        bool, typer.Option("--new-bundle", help="Make that file again, with a new passphrase.")
    ] = False,
    production_access: Annotated[
        bool,
        typer.Option(
            "--production-access/--no-production-access",
            help="Ask AWS to let you send to everyone.",
        ),
    ] = True,
    round_trip: Annotated[
        bool | None,
        typer.Option(
            "--round-trip/--no-round-trip",
            help="Send a mail to yourself at the end.",
            show_default=False,
        ),
    ] = None,
    resolver: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Ask it instead of the domain's name servers."),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the DNS, or look once.")
    ] = True,
    again: Annotated[bool, typer.Option("--again", help="Ask everything again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; take what is suggested.")] = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Go from nothing to mail in one conversation: it asks, says what it costs, and
    makes the AWS side and one file for the box at home.

    Interrupted anywhere and run again, it goes on where it was. Every answer can be
    given as an option; without a terminal nothing is asked. It needs an
    administrator's AWS credentials; if there are none, it says how to get them.

    \b
    Examples:
      postamt-sync setup
      postamt-sync setup --again
      postamt-sync setup --domain example.org --person ann --person ben --yes
    """
    if public_url and no_port:
        raise UsageError("--public-url and --no-port exclude each other.", "Use one of them.")
    if position:
        read_position(position)
    try:
        stack_name(name or STACK)
    except ValueError as error:
        raise UsageError(f"The stack's name {error}", "Example: --name postamt") from None
    if resolver:
        resolver_at(resolver)
    file = AnswerFile(setup_directory())
    before = file.read()
    kept = Answers(bundle_digest=before.bundle_digest, name=before.name) if again else before
    answers = replace(kept, name=name or kept.name)
    for field, flag, text in (
        ("domains", "--domain", ",".join(domain) if domain else None),
        ("people", "--person", ",".join(person) if person else None),
        ("region", "--region", region),
        ("public_url", "--public-url", "no" if no_port else public_url or None),
        ("here", "--here", None if here is None else "y" if here else "n"),
        ("dovecot", "--dovecot", None if dovecot is None else "y" if dovecot else "n"),
        ("imap_host", "--imap-host", imap_host),
        ("certificate", "--certificate", certificate),
    ):
        if text is not None:
            answers = flagged(field, flag, text, answers)
    console = open_console()
    wishes = Wishes(
        answers.name or STACK, yes, production_access, bundle.absolute(), new_bundle, position
    )
    if yes and round_trip is None:
        round_trip = False
    try:
        answers = _answered(console, file, answers, before, yes=yes)
        account = _made(console, file, answers, wishes)
        return _see_it_work(
            account,
            console,
            resolver,
            wait=wait and may_ask(),
            trip=round_trip,
        )
    except (KeyboardInterrupt, typer.Abort, PostamtError):
        if file.path.exists() and may_ask():
            console.print()
            paragraph(console, "Your answers are kept. Go on at any time with: postamt-sync setup")
        raise


def _made(console: Console, file: AnswerFile, answers: Answers, wishes: Wishes) -> Opened:
    """Build the AWS side, and hand over to the box."""
    aws = administrator(console, answers.region or "", ask=may_ask() and not wishes.yes)
    while True:
        answers = write_configuration(file, answers, aws, wishes.name)
        in_force.remember(["setup", "--config", str(file.directory / CONFIGURATION)])
        account = open_account(file)
        if make_all(account, console, wishes):
            break
        answers = ask_all(console, file, answers.without_questions(), answers)
        show_answers(console, answers)
        aws = administrator(console, answers.region or "", ask=True)
    answers = first_mail_of(account, file, answers)
    made = contents(account, file, answers, answers.first_key or "")
    if answers.here and can_become_root():
        join_here(made, wishes.bundle, console)
    else:
        hand_over(made, wishes.bundle, file, answers, console, anew=wishes.new_bundle)
    return account


def _answered(
    console: Console, file: AnswerFile, answers: Answers, before: Answers, *, yes: bool
) -> Answers:
    """Return the complete answers; earlier ones are kept and shown."""
    if yes:
        answers = suggested(answers)
    elif not may_ask():
        refuse_open(answers)
    begun = answers.domains is not None
    if begun:
        words = "Setup goes on where it was. To change an answer: postamt-sync setup --again"
        if before.domains is not None:
            paragraph(console, words)
        show_answers(console, answers)
    if open_questions(answers):
        if not begun:
            _greet(console)
        answers = ask_all(console, file, answers, before)
        show_answers(console, answers)
    file.write(answers)
    return answers


def _greet(console: Console) -> None:
    console.print(Text("From nothing to your own mail", style="bold"))
    paragraph(
        console,
        "A few questions, each with what Enter stands for in brackets. Nothing is made before you "
        "have seen what it is and what it costs. Ctrl-C stops anywhere; typed again, setup goes on "
        "from there.",
    )


def _see_it_work(
    account: Opened, console: Console, resolver: str, *, wait: bool, trip: bool | None
) -> ExitCode:
    """Show the DNS records and tick them off; once all are there, offer the round trip."""
    records = wanted_records(account)
    console.print(Text("\nThe DNS", style="bold"))
    console.print()
    show_records(records, None, console)
    console.print()
    well = watch(records, resolver, console, wait=wait)
    if not well:
        paragraph(
            console,
            "What is not ticked off is to be entered where the DNS is hosted (as a file: "
            "postamt-sync bootstrap dns --format zone). Then type again: postamt-sync setup",
        )
        return ExitCode.OK
    console.print("\nAll that mail needs is in the DNS.")
    if trip is None and may_ask():
        trip = typer.confirm("Send a mail to yourself, to see it arrive?", default=True)
    return _round_trip(account, console) if trip else ExitCode.OK


def _round_trip(account: Opened, console: Console) -> ExitCode:
    """Test the way from the bucket to the topic, and from a sender to the bucket."""
    seconds = SmokeTest(account.stack, account.aws).announced_within()
    if seconds is None:
        raise PostamtError(
            "A trial object in the bucket was not announced.",
            "See why with: postamt-sync bootstrap verify",
        )
    paragraph(console, f"ok   A trial object was announced after {seconds:.1f} s.")
    mailbox = account.settings.default_mailbox
    travel = RoundTrip(account.settings, account.aws, mailbox, ByApi(account.aws)).findings()
    hops = islice(travel, _HOPS_SEEN_FROM_HERE)
    while True:
        with console.status("The mail is under way. Ctrl-C stops."):
            finding = next(hops, None)
        if finding is None:
            break
        if finding.outcome is not Severity.OK:
            raise PostamtError(finding.words, finding.remedy)
        paragraph(console, f"ok   {finding.words}")
    paragraph(console, "The box brings it home: look at it in your mail client.")
    return ExitCode.OK
