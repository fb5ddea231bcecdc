"""`postamt-sync bootstrap init`: makes a configuration from a few answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.aws.clients import A_PERSON_ANSWERS, new_session
from postamt_sync.aws.regions import refused_region
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.configuration import Home, configuration
from postamt_sync.bootstrap.open_stack import queue_urls_to_be
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import new_bucket
from postamt_sync.cli.bootstrap.stack import may_ask
from postamt_sync.cli.options import Debug, NewDomains
from postamt_sync.config import load
from postamt_sync.config.addresses import normalised_domain
from postamt_sync.config.command import CommandLine
from postamt_sync.config.values import stack_name
from postamt_sync.errors import ConfigurationError, ExitCode, TryLaterError, UsageError
from postamt_sync.owners_rights import on_the_way_to

_WITHOUT_A_TERMINAL = (
    "Nothing is asked where there is no terminal. Give all answers as options, as in: "
    "postamt-sync bootstrap init --domain example.org --region eu-west-1 --mailbox ann --no-port"
)

NEAREST = "eu-west-1"


def init(
    domain: NewDomains = None,
    region: Annotated[
        str, typer.Option("--region", metavar="NAME", help="The AWS region.", show_default=False)
    ] = "",
    mailbox: Annotated[
        list[str] | None,
        typer.Option("--mailbox", metavar="NAME", help="A person; repeat it, the main one first."),
    ] = None,
    public_url: Annotated[
        str,
        typer.Option(
            "--public-url",
            metavar="URL",
            help="Where SNS reaches the box at home.",
            show_default=False,
        ),
    ] = "",
    no_port: Annotated[
        bool, typer.Option("--no-port", help="No port is open to the box: the queue is used.")
    ] = False,
    proxied: Annotated[
        bool, typer.Option("--proxied", help="A proxy in front of us speaks TLS.")
    ] = False,
    listen: Annotated[
        list[str] | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Where the webhook listens; repeat it."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The stack's name.")
    ] = "postamt",
    account: Annotated[
        str,
        typer.Option(
            "--account",
            metavar="ID",
            help="The AWS account; else that of the credentials.",
            show_default=False,
        ),
    ] = "",
    maildirs: Annotated[
        str, typer.Option("--maildirs", metavar="DIR", help="The directory for the Maildirs.")
    ] = "/var/mail/vhosts",
    state_dir: Annotated[
        str, typer.Option("--state-dir", metavar="DIR", help="The directory for the ledger.")
    ] = "/var/lib/postamt-sync",
    output: Annotated[
        Path, typer.Option("--output", metavar="PATH", help="The file to write; - for the screen.")
    ] = Path("config.toml"),
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Ask a few questions, and write the configuration.

    Every answer can be given as an option; without a terminal nothing is asked.
    AWS is only asked for the account's number; nothing is created there. An
    existing file is not overwritten. In regions without bucket names for each
    account (me-south-1), a random name is chosen, once.

    \b
    Examples:
      postamt-sync bootstrap init
      postamt-sync bootstrap init --domain example.org --region eu-west-1 \\
        --mailbox ann --public-url https://home.example.org/sns
      postamt-sync bootstrap init --domain example.org --region eu-west-1 \\
        --mailbox ann --mailbox ben --no-port --output -
    """
    if public_url and no_port:
        raise UsageError("--public-url and --no-port exclude each other.", "Use one of them.")
    if str(output) != "-" and output.exists():
        raise UsageError(
            f"The file {output} is there already.", "Name another one with --output, or remove it."
        )
    _check_name(name)
    domains = tuple(map(_domain, domain or _ask_list("Which domain gets mail?", "--domain")))
    region = region or _ask("Which AWS region?", "--region", NEAREST)
    if refused := refused_region(region):
        raise UsageError(*refused)
    people = mailbox or _ask_list("Whose mailboxes (names, with spaces)?", "--mailbox")
    if not public_url and not no_port:
        public_url = _ask(
            "Where does the world reach this box (https://…; empty if no port can be opened)?",
            "--public-url or --no-port",
            "",
        )
    aws = _aws(region)
    number = account or aws.account
    stack = Stack(
        name=name,
        account=number,
        region=region,
        bucket=new_bucket(name, number, region),
        domains=domains,
        public_url=public_url,
    )
    home = Home(people, maildirs, state_dir, tuple(listen or ()), proxied)
    text = configuration(stack, home, queue_urls_to_be(stack, aws))
    _write(output, text)
    return ExitCode.OK


def _write(output: Path, text: str) -> None:
    """Write the file if the daemon would accept it; raise ConfigurationError if not."""
    if str(output) == "-":
        sys.stdout.write(text)
        return
    try:
        with on_the_way_to(output.parent), output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise TryLaterError(
            f"The file {output} cannot be written: {error.strerror}.", "Name another: --output."
        ) from error
    try:
        load(output, environ={})
    except ConfigurationError:
        with on_the_way_to(output.parent):
            output.unlink()
        raise
    plan = CommandLine(str(output)).typed("bootstrap plan")
    print(f"Written: {output}. Look through it; then: {plan}")


def _domain(text: str) -> str:
    try:
        return normalised_domain(text)
    except ValueError as error:
        raise UsageError(f"A domain {error}", "Example: --domain example.org") from error


def _check_name(text: str) -> None:
    try:
        stack_name(text)
    except ValueError as error:
        raise UsageError(f"The stack's name {error}", "Example: --name postamt") from error


def _ask(question: str, option: str, default: str) -> str:
    if not may_ask():
        raise UsageError(f"{option} is missing.", _WITHOUT_A_TERMINAL)
    answer: str = typer.prompt(question, default=default, show_default=bool(default))
    return answer.strip()


def _ask_list(question: str, option: str) -> list[str]:
    answers: list[str] = []
    while not answers:
        answers = _ask(question, option, "").replace(",", " ").split()
    return answers


def _aws(region: str) -> AwsClient:
    return AwsClient(new_session(region, program_seconds=A_PERSON_ANSWERS), region)
