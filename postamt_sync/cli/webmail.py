"""`postamt-sync webmail`: the emergency webmail on this machine, and who may sign in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Annotated

import boto3
import typer
from botocore.config import Config

from postamt_sync.aws.clients import (
    LOOKING,
    ONCE,
    dynamodb_client,
    kms_client,
    new_client,
    new_session,
    s3_client,
)
from postamt_sync.aws.errors import ForbiddenError, aws_call
from postamt_sync.bootstrap.open_stack import handed_routes, open_stack, webmail_of
from postamt_sync.bootstrap.webmail_policies import serve_policy
from postamt_sync.cli import webmail_user
from postamt_sync.cli.options import ConfigPath, Debug
from postamt_sync.cli.verbs import end_without_verb
from postamt_sync.cli.webmail_table import anyone, nobody, table_name
from postamt_sync.config import Settings, load
from postamt_sync.config.command import typed
from postamt_sync.errors import ExitCode, MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.webmail.index_table import DynamoEntryTable
from postamt_sync.webmail.keys import FixedKeys, Keys
from postamt_sync.webmail.line_table import DynamoLineTable
from postamt_sync.webmail.local_server import (
    LocalServer,
    listen_on_loopback,
    loopback_origins,
)
from postamt_sync.webmail.mail_store import S3MailStore, SealedPrefixes
from postamt_sync.webmail.mailer import SesMailer
from postamt_sync.webmail.parameter_keys import NoKeysError, ParameterKeys
from postamt_sync.webmail.record_table import DynamoRecordTable
from postamt_sync.webmail.sent_store import S3SentStore
from postamt_sync.webmail.unindexed import MailPlaces
from postamt_sync.webmail.webmail import Webmail, WebmailPorts

_SENDING = ONCE.merge(Config(connect_timeout=10, read_timeout=60))
"""Uploading a mail of 40 MB takes a while, and it must never be sent again by a retry."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.add_typer(webmail_user.app, name="user")


@app.callback(invoke_without_command=True)
def webmail(context: typer.Context) -> None:
    """Read mail in a browser while the box at home is away.

    \b
    Examples:
      postamt-sync webmail user add thomas   # let a mailbox sign in
      postamt-sync webmail serve             # the page, on this machine
    """
    end_without_verb(context)


@app.command()
def serve(
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65_535, help="On 127.0.0.1; 0: a free one."
        ),
    ] = 9126,
    policy: Annotated[
        bool,
        typer.Option("--policy", help="Print the IAM policy that its credentials need, and exit."),
    ] = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Serve the webmail on this machine, until Ctrl-C.

    It reads bucket and index at AWS and needs nothing else: neither the daemon nor
    a Maildir. Only this machine can reach it; each mailbox signs in with its own
    secret and sees the mail that the daemon would deliver to it. Its AWS credentials
    need not be an administrator's: --policy prints what is enough.

    \b
    Examples:
      postamt-sync webmail serve
      postamt-sync webmail serve --port 8080
      postamt-sync webmail serve --policy > policy.json
    """
    settings = load(config)
    if not settings.index.table:
        raise MisconfiguredError(
            "The webmail lists mail by the index, and index.table is empty.",
            f'Write the table of the stack there, as in: table = "{settings.stack.name}"',
        )
    if policy:
        _print_policy(settings)
        return ExitCode.OK
    listening, ports = _ports(settings, port)
    server = LocalServer(listening, Webmail(ports))
    try:
        asyncio.run(_until_stopped(server))
    finally:
        listening.close()
    return ExitCode.OK


async def _until_stopped(server: LocalServer) -> None:
    """Serve until SIGINT or SIGTERM; ending that way is no error."""
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
    kms = kms_client(session, region) if settings.bucket.kms else None
    table = DynamoRecordTable(client, table_name(settings))
    with _rights(settings), aws_call("read who may sign in", name=table_name(settings)):
        somebody = anyone(client, settings)
    if not somebody:
        raise nobody(settings)
    index = DynamoEntryTable(client, settings.index.table)
    with _rights(settings), aws_call("read the index", name=settings.index.table):
        index.known(["is the table there?"])
    keys, device_keys = _keys(settings, session)
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
        lines=DynamoLineTable(client, f"{settings.index.table}-lists"),
        store=S3MailStore(s3, settings.bucket.name, kms, _sealed(settings)),
        mailer=SesMailer(new_client(session, "sesv2", region, _SENDING), region),
        kept=S3SentStore(s3, settings.bucket.name),
        handed=handed_routes(settings),
        keys=keys,
        device_keys=device_keys,
        host="localhost",
        origins=loopback_origins(listening.getsockname()[1]),
        clock=time.time,
        places=MailPlaces(settings.bucket.prefix, settings.bucket.recent_prefix),
        say=_say,
    )


def _sealed(settings: Settings) -> SealedPrefixes | None:
    prefix, sealed_prefix, _ = settings.sealed_place
    return SealedPrefixes(prefix, sealed_prefix) if prefix and sealed_prefix else None


def _keys(settings: Settings, session: boto3.Session) -> tuple[Keys, Keys]:
    """Return the keys for sessions and known devices: those at AWS if the webmail runs there too.

    Otherwise random ones will do; then a restart signs everybody out.
    """
    if settings.webmail.enabled:
        stack = webmail_of(settings, account="")  # on which these names do not depend
        names = (stack.session_keys, stack.device_keys)
        client = new_client(session, "ssm", settings.aws.region, LOOKING)
        kept = ParameterKeys(client, names, time.monotonic)
        try:
            with aws_call("read the keys of sessions"), contextlib.suppress(NoKeysError):
                kept.ring(stack.session_keys)
                return kept.of(stack.session_keys), kept.of(stack.device_keys)
        except PostamtError as error:
            told = f"{error.problem} Others are taken, until the next start."
            print(told, file=sys.stderr, flush=True)
    return FixedKeys(secrets.token_bytes(32)), FixedKeys(secrets.token_bytes(32))


@contextlib.contextmanager
def _rights(settings: Settings) -> Iterator[None]:
    """Let an error about missing rights say how to get the policy that grants them."""
    try:
        yield
    except ForbiddenError as error:
        command = typed("webmail serve --policy", settings.source)
        raise ForbiddenError(
            error.problem,
            f"Let an administrator allow them what this prints, and no more: {command}",
        ) from error


def _print_policy(settings: Settings) -> None:
    stack, _ = open_stack(settings)
    webmail = webmail_of(settings, stack.account)
    print(json.dumps(serve_policy(webmail, settings.index.table), indent=2))


def _say(level: str, event: str, fields: Mapping[str, object]) -> None:
    said = " ".join(f"{name}={printable(str(value))}" for name, value in fields.items())
    print(f"{level}: {event} {said}", file=sys.stderr, flush=True)
