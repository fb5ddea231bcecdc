"""`postamt-sync webmail`: the emergency webmail on this machine, and who may sign in."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from botocore.config import Config

from postamt_sync.aws.clients import ONCE, dynamodb_client, new_client, new_session, s3_client
from postamt_sync.aws.errors import aws_call
from postamt_sync.cli.options import ConfigPath, Debug, known_mailbox
from postamt_sync.config import Settings, load
from postamt_sync.config.command import typed
from postamt_sync.errors import ExitCode, MisconfiguredError, TryLaterError, UsageError
from postamt_sync.events import printable
from postamt_sync.mail.routing import Addressee
from postamt_sync.webmail.handed_routes import HandedRoutes
from postamt_sync.webmail.index_table import DynamoEntryTable
from postamt_sync.webmail.local_server import (
    LocalServer,
    listen_on_loopback,
    loopback_origins,
)
from postamt_sync.webmail.mail_store import S3MailStore
from postamt_sync.webmail.mailer import SesMailer
from postamt_sync.webmail.record_table import DynamoRecordTable, make_record_table
from postamt_sync.webmail.secret import chosen, make_secret
from postamt_sync.webmail.sent_store import S3SentStore
from postamt_sync.webmail.unindexed import MailPlaces
from postamt_sync.webmail.users import WebmailUsers
from postamt_sync.webmail.webmail import Webmail, WebmailPorts

_SENDING = ONCE.merge(Config(connect_timeout=10, read_timeout=60))
"""A mail of 40 MB is on its way for a while, and nobody may send it again unseen."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)
user_app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.add_typer(user_app, name="user")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Which mailbox, as the configuration names it.")
]
Choose = Annotated[
    bool, typer.Option("--choose", help="Ask for the secret, of 20 characters or more.")
]


@app.callback(invoke_without_command=True)
def webmail(context: typer.Context) -> None:
    """Read mail in a browser while the box at home is away.

    \b
    Examples:
      postamt-sync webmail user add thomas   let a mailbox sign in
      postamt-sync webmail serve             the page, on this machine
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


@app.command()
def serve(
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65_535, help="On 127.0.0.1; 0: a free one."
        ),
    ] = 9126,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Serve the webmail on this machine, until Ctrl-C.

    It reads bucket and index at AWS and needs nothing else: neither the daemon nor
    a Maildir. Only this machine can reach it; each mailbox signs in with its own
    secret and sees the mail that the daemon would deliver to it. Run it with an
    administrator's credentials.

    \b
    Examples:
      postamt-sync webmail serve
      postamt-sync webmail serve --port 8080
    """
    settings = load(config)
    if not settings.index.table:
        raise MisconfiguredError(
            "The webmail lists mail by the index, and index.table is empty.",
            f'Write the table of the stack there, as in: table = "{settings.stack.name}"',
        )
    listening, ports = _ports(settings, port)
    server = LocalServer(listening, Webmail(ports))
    try:
        asyncio.run(_until_stopped(server))
    finally:
        listening.close()
    return ExitCode.OK


async def _until_stopped(server: LocalServer) -> None:
    """Serve until SIGINT or SIGTERM, either of which is a way to end it well."""
    serving = asyncio.ensure_future(
        server.run(lambda: print(f"The webmail is at {server.url}", flush=True))
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _ports(settings: Settings, port: int) -> tuple[socket.socket, WebmailPorts]:
    region = settings.aws.region
    session = new_session(region)
    client, s3 = dynamodb_client(session, region), s3_client(session, region)
    table = DynamoRecordTable(client, table_name(settings))
    with aws_call("read who may sign in", name=table_name(settings)):
        anyone = _anyone(client, settings)
    if not anyone:
        raise _nobody(settings)
    index = DynamoEntryTable(client, settings.index.table)
    with aws_call("read the index", name=settings.index.table):
        index.known(["is the table there?"])
    try:
        listening = listen_on_loopback(port)
    except OSError as error:
        raise TryLaterError(
            f"Port {port} of 127.0.0.1 cannot be had: {error.strerror or error}.",
            "Name another with --port, or 0 for a free one.",
        ) from error
    return listening, WebmailPorts(
        table=table,
        index=index,
        store=S3MailStore(s3, settings.bucket.name),
        mailer=SesMailer(new_client(session, "sesv2", region, _SENDING), region),
        kept=S3SentStore(s3, settings.bucket.name),
        handed=handed_routes(settings),
        keys=(secrets.token_bytes(32),),  # a restart signs everybody out
        host="localhost",
        origins=loopback_origins(listening.getsockname()[1]),
        clock=time.time,
        places=MailPlaces(settings.bucket.prefix, settings.bucket.recent_prefix),
        say=_say,
    )


def _anyone(client: Any, settings: Settings) -> bool:
    try:
        return next(_users(client, settings).everyone(), None) is not None
    except client.exceptions.ResourceNotFoundException:
        return False


@user_app.callback(invoke_without_command=True)
def user(context: typer.Context) -> None:
    """Who may sign in to the webmail.

    \b
    Examples:
      postamt-sync webmail user list
      postamt-sync webmail user add thomas
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


@user_app.command()
def add(
    name: Name,
    all_: Annotated[
        bool, typer.Option("--all", help="It also sees mail that no envelope places; one may.")
    ] = False,
    choose: Choose = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Let a mailbox sign in, with a secret that is made and shown once.

    Run it with an administrator's credentials: the first time it makes the table of
    the webmail.

    \b
    Examples:
      postamt-sync webmail user add thomas
      postamt-sync webmail user add thomas --choose
    """
    settings = load(config)
    known_mailbox(settings, name)
    secret = _secret(choose)
    users = _opened(settings, make=True)
    with aws_call("let a mailbox sign in", name=table_name(settings)):
        users.add(name, secret, sees_all=all_)
    _show(name, secret, choose)
    return ExitCode.OK


@user_app.command("list")
def list_(config: ConfigPath = None, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """List the mailboxes that may sign in.

    \b
    Examples:
      postamt-sync webmail user list
    """
    settings = load(config)
    users = _opened(settings)
    with aws_call("read who may sign in", name=table_name(settings)):
        everyone = list(users.everyone())
    for each in everyone:
        since = datetime.fromtimestamp(each.since, UTC).strftime("%Y-%m-%d")
        rights = ", sees all" if each.sees_all else ""
        print(f"{printable(each.mailbox)}: secret of {since}{rights}")
    if not everyone:
        print(f"No mailbox may sign in. {_nobody(settings).hint}")
    return ExitCode.OK


@user_app.command()
def rotate(
    name: Name,
    choose: Choose = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Give a mailbox another secret; whoever is signed in with the old one is not.

    \b
    Examples:
      postamt-sync webmail user rotate thomas
    """
    settings = load(config)
    users = _opened(settings)
    secret = _secret(choose)
    with aws_call("give another secret", name=table_name(settings)):
        users.rotate(name, secret)
    _show(name, secret, choose)
    return ExitCode.OK


@user_app.command()
def remove(name: Name, config: ConfigPath = None, debug: Debug = False) -> ExitCode:  # noqa: ARG001
    """Let a mailbox sign in no more; its sessions end.

    \b
    Examples:
      postamt-sync webmail user remove thomas
    """
    settings = load(config)
    users = _opened(settings)
    with aws_call("remove a mailbox", name=table_name(settings)):
        users.remove(name)
    print(f"{printable(name)} cannot sign in any more.")
    return ExitCode.OK


def table_name(settings: Settings) -> str:
    """Return the name of the webmail's own table."""
    return f"{settings.stack.name}-webmail"


def handed_routes(settings: Settings) -> HandedRoutes:
    """Return who gets what, as the daemon has it."""
    delivery = settings.delivery
    return HandedRoutes(
        tuple(Addressee(m.name, m.addresses, m.default) for m in settings.mailboxes),
        *map(_folder, (delivery.junk_folder, delivery.virus_folder, delivery.dmarc_folder)),
    )


def _folder(option: str) -> str:
    return "" if option.upper() == "INBOX" else option


def _opened(settings: Settings, *, make: bool = False) -> WebmailUsers:
    client = dynamodb_client(new_session(settings.aws.region), settings.aws.region)
    name = table_name(settings)
    with aws_call("open the webmail's table", name=name):
        if make:
            if make_record_table(client, name, settings.stack.name):
                print(f"The table {name} is made.")
        elif not _is_there(client, name):
            raise _nobody(settings)
    return _users(client, settings)


def _is_there(client: Any, name: str) -> bool:
    try:
        client.describe_table(TableName=name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def _users(client: Any, settings: Settings) -> WebmailUsers:
    return WebmailUsers(
        DynamoRecordTable(client, table_name(settings)),
        time.time,
        command=lambda verb: typed(f"webmail user {verb}", settings.source),
    )


def _nobody(settings: Settings) -> UsageError:
    return UsageError(
        "No mailbox may sign in yet.",
        f"Let one, with: {typed('webmail user add NAME', settings.source)}",
    )


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


def _say(level: str, event: str, fields: Mapping[str, object]) -> None:
    said = " ".join(f"{name}={printable(str(value))}" for name, value in fields.items())
    print(f"{level}: {event} {said}", file=sys.stderr, flush=True)
