"""`postamt-sync bootstrap credentials`: what sends mail, and new keys in place of old ones."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from postamt_sync.bootstrap.build import Keys, keys
from postamt_sync.bootstrap.resources.access_key import AccessKey
from postamt_sync.bootstrap.rotation import Rotation
from postamt_sync.bootstrap.smtp import smtp_server
from postamt_sync.cli.bootstrap.stack import Opened, Out, opened
from postamt_sync.cli.options import ConfigPath, Debug
from postamt_sync.errors import ExitCode, MisconfiguredError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Whose(enum.StrEnum):
    """Whose key."""

    SYNC = "sync"
    SMTP = "smtp"


@app.callback(invoke_without_command=True)
def credentials(context: typer.Context) -> None:
    """Show what mail clients need to send, and renew the keys of both users.

    \b
    Examples:
      postamt-sync bootstrap credentials show
      postamt-sync bootstrap credentials rotate smtp
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


@app.command()
def show(
    password: Annotated[bool, typer.Option("--password", help="Show the password too.")] = False,
    out: Out = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show server, ports and user name for sending, and where the files are.

    \b
    Examples:
      postamt-sync bootstrap credentials show
      postamt-sync bootstrap credentials show --password
    """
    account = opened(config, out)
    kept = _keys(account)
    server = smtp_server(account.stack.region)
    values = kept.smtp_file.read()
    print(f"Reads mail    {kept.sync.user}")
    print(f"  key         {kept.sync.file.key_id() or 'none'}")
    print(f"  file        {kept.sync.file.path}")
    if server is None or kept.smtp is None:
        print(f"Sends mail    nobody: SES has no SMTP endpoint in {account.stack.region}")
        return ExitCode.OK
    print(f"Sends mail    {kept.smtp.user}")
    print(f"  server      {server.host}")
    print(f"  TLS         port {' or '.join(map(str, server.implicit_tls))}")
    print(f"  STARTTLS    port {' or '.join(map(str, server.starttls))}")
    print(f"  user name   {values.get('username', 'none')}")
    if password:
        print(f"  password    {values.get('password', 'none')}")
    print(f"  file        {kept.smtp_file.path}")
    return ExitCode.OK


@app.command()
def rotate(
    whose: Annotated[Whose, typer.Argument(help="Whose key.")],
    finish: Annotated[
        bool, typer.Option("--finish", help="Take the old key away before its grace is over.")
    ] = False,
    out: Out = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Put a new key in place of an old one, in two steps.

    The first makes the new key and keeps it in its file; both work. The second, a
    week later or with --finish, takes the old one away.

    \b
    Examples:
      postamt-sync bootstrap credentials rotate sync
      postamt-sync bootstrap credentials rotate sync --finish
    """
    account = opened(config, out)
    kept = _keys(account)
    key: AccessKey | None = kept.sync if whose is Whose.SYNC else kept.smtp
    if key is None:
        raise MisconfiguredError(
            f"SES has no SMTP endpoint in {account.stack.region}, so there is no key for it.",
            "Send through another region.",
        )
    print(Rotation(key, account.aws).step(finish=finish))
    return ExitCode.OK


def _keys(account: Opened) -> Keys:
    return keys(account.stack, account.aws, account.directory)
