"""`postamt-sync webmail user`: who may sign in to the webmail."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from postamt_sync.aws.errors import aws_call
from postamt_sync.cli.options import ConfigPath, Debug, MailboxName, known_mailbox
from postamt_sync.cli.verbs import end_without_verb
from postamt_sync.cli.webmail_table import nobody, opened_users, table_name
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from postamt_sync.events import printable
from postamt_sync.webmail.secret import chosen, make_secret

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Choose = Annotated[
    bool, typer.Option("--choose", help="Ask for the secret, of 20 characters or more.")
]


@app.callback(invoke_without_command=True)
def user(context: typer.Context) -> None:
    """Who may sign in to the webmail.

    \b
    Examples:
      postamt-sync webmail user list
      postamt-sync webmail user add thomas
    """
    end_without_verb(context)


@app.command()
def add(
    name: MailboxName,
    all_: Annotated[
        bool, typer.Option("--all", help="It also sees mail without an envelope; one mailbox may.")
    ] = False,
    choose: Choose = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Let a mailbox sign in, with a secret that is shown once.

    Run it with an administrator's credentials: the first time, it creates the
    webmail's table.

    \b
    Examples:
      postamt-sync webmail user add thomas
      postamt-sync webmail user add thomas --choose
    """
    settings = load(config)
    known_mailbox(settings, name)
    secret = _secret(choose)
    users = opened_users(settings, make=True)
    with aws_call("let a mailbox sign in", name=table_name(settings)):
        users.add(name, secret, sees_all=all_)
    _show(name, secret, choose)
    return ExitCode.OK


@app.command("list")
def list_(config: ConfigPath = None, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """List the mailboxes that may sign in.

    \b
    Examples:
      postamt-sync webmail user list
    """
    settings = load(config)
    users = opened_users(settings)
    with aws_call("read who may sign in", name=table_name(settings)):
        everyone = list(users.everyone())
    for each in everyone:
        since = datetime.fromtimestamp(each.since, UTC).strftime("%Y-%m-%d")
        rights = ", sees all" if each.sees_all else ""
        print(f"{printable(each.mailbox)}: secret of {since}{rights}")
    if not everyone:
        print(f"No mailbox may sign in. {nobody(settings).hint}")
    return ExitCode.OK


@app.command()
def rotate(
    name: MailboxName,
    choose: Choose = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Give a mailbox a new secret; its sessions end.

    \b
    Examples:
      postamt-sync webmail user rotate thomas
    """
    settings = load(config)
    users = opened_users(settings)
    secret = _secret(choose)
    with aws_call("give another secret", name=table_name(settings)):
        users.rotate(name, secret)
    _show(name, secret, choose)
    return ExitCode.OK


@app.command()
def remove(name: MailboxName, config: ConfigPath = None, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """No longer let a mailbox sign in; its sessions end.

    \b
    Examples:
      postamt-sync webmail user remove thomas
    """
    settings = load(config)
    users = opened_users(settings)
    with aws_call("remove a mailbox", name=table_name(settings)):
        users.remove(name)
    print(f"{printable(name)} cannot sign in any more.")
    return ExitCode.OK


def _secret(choose: bool) -> str:
    if not choose:
        return make_secret()
    if sys.stdin.isatty():
        return chosen(typer.prompt("Secret", hide_input=True, confirmation_prompt=True))
    return chosen(sys.stdin.readline())


def _show(name: str, secret: str, choose: bool) -> None:
    print(f"{printable(name)} signs in with the mailbox's name and this secret", end="")
    if choose:
        print(", the one that you chose.")
        return
    print(f":\n\n    {secret}\n\nIt is not shown again, and not kept anywhere.")
