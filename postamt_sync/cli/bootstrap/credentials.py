"""`postamt-sync bootstrap credentials`: what mail clients need to send, and new keys."""

from __future__ import annotations

import enum
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from postamt_sync.aws.regions import WITHOUT_SMTP
from postamt_sync.aws.smtp import smtp_server
from postamt_sync.bootstrap.change import Note
from postamt_sync.bootstrap.key_replacement import replacement
from postamt_sync.bootstrap.key_rotation import Rotation
from postamt_sync.bootstrap.plan import carry_out, plan_removal
from postamt_sync.bootstrap.resources.access_key import AccessKeyResource, ids_of
from postamt_sync.bootstrap.stack_resources import SmtpKey
from postamt_sync.cli.bootstrap.stack import (
    Opened,
    Out,
    agreed,
    opened,
    remember,
    show_password,
)
from postamt_sync.cli.bootstrap.stack import show as show_plan
from postamt_sync.cli.bootstrap.webmail_keys import rotate_webmail
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.options import ConfigPath, Debug, Yes, known_mailbox
from postamt_sync.cli.verbs import end_without_verb
from postamt_sync.errors import ExitCode, MisconfiguredError, UsageError
from postamt_sync.events import printable

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Whose(enum.StrEnum):
    """Whose key."""

    SYNC = "sync"
    SMTP = "smtp"


class Rotated(enum.StrEnum):
    """Whose key can be rotated."""

    SYNC = "sync"
    SMTP = "smtp"
    WEBMAIL = "webmail"


_WHOSE = typer.Argument(help="Whose key.")
MailboxOption = Annotated[
    str,
    typer.Option(
        "--mailbox",
        metavar="NAME",
        help="For this mailbox, if each has its own user.",
        show_default=False,
    ),
]


@app.callback(invoke_without_command=True)
def credentials(context: typer.Context) -> None:
    """Show what mail clients need to send, and renew the users' keys.

    rotate makes a new key while the old one keeps working, and deletes that one
    later: nothing stops. replace makes a new one and deletes the old one at once,
    for when its file or secret is lost. Nothing else ever replaces a key. retire
    deletes, at once, SMTP users that the configuration no longer asks for.

    \b
    Examples:
      postamt-sync bootstrap credentials show
      postamt-sync bootstrap credentials rotate smtp
      postamt-sync bootstrap credentials replace smtp --mailbox anna
    """
    end_without_verb(context)


@app.command()
def show(
    password: Annotated[bool, typer.Option("--password", help="Show the password too.")] = False,
    mailbox: MailboxOption = "",
    out: Out = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show server, ports and user name for sending. Says where the files are, too.

    \b
    Examples:
      postamt-sync bootstrap credentials show
      postamt-sync bootstrap credentials show --password
      postamt-sync bootstrap credentials show --password --mailbox anna
    """
    account = opened(config, out)
    kept = account.keys
    sending = [_sending(account, mailbox)] if mailbox else kept.sending
    server = smtp_server(account.stack.region)
    print(f"Reads mail    {kept.sync.user}")
    _show_key(kept.sync, "key")
    if server is None:
        print(f"Sends mail    nobody: SES has no SMTP endpoint in {account.stack.region}")
        return ExitCode.OK
    for one in sending:
        print(f"Sends mail    {one.key.user}{f', for {one.mailbox}' if one.mailbox else ''}")
        print(f"  server      {server.host}")
        print(f"  TLS         port {' or '.join(map(str, server.implicit_tls))}")
        print(f"  STARTTLS    port {' or '.join(map(str, server.starttls))}")
        path = _show_key(one.key, "user name")
        if password:
            values = {} if path is None else one.file.read(path)
            print(f"  password    {printable(values.get('password', 'not known here'), 200)}")
    return ExitCode.OK


def _show_key(key: AccessKeyResource, label: str) -> Path | None:
    """Print the user's key and the file that holds it; return the file if it is readable here."""
    keys = key.keys()
    found = key.where(keys)
    if found is not None:
        print(f"  {label:<11} {found[0]}")
        print(f"  file        {printable(str(found[1]), 4096)}")
        return found[1]
    print(f"  {label:<11} {' and '.join(sorted(ids_of(keys))) or 'none'}")
    for note in key.plan():
        if isinstance(note, Note):
            print(f"  file        {complete(note.message)}")
    return None


@app.command()
def rotate(
    whose: Annotated[Rotated, _WHOSE],
    finish: Annotated[
        bool, typer.Option("--finish", help="Delete the old key without waiting.")
    ] = False,
    mailbox: MailboxOption = "",
    yes: Yes = False,
    out: Out = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Replace a key in two steps, so that nothing stops working.

    The first step makes a new key and puts it into its file; both work. The second
    deletes the old one, once it has not been used for a week; --finish does so at
    once, and asks if the old one is still in use.

    For the webmail, there are new keys for sessions and known devices, and a new
    secret between CloudFront and the function; the current ones stay valid until
    the next rotation.

    \b
    Examples:
      postamt-sync bootstrap credentials rotate sync
      postamt-sync bootstrap credentials rotate webmail
      postamt-sync bootstrap credentials rotate sync --finish
      postamt-sync bootstrap credentials rotate smtp --mailbox anna
    """
    account = opened(config, out)
    if whose is Rotated.WEBMAIL:
        if finish or mailbox:
            raise UsageError(
                "The webmail's keys are rotated in one step, and are no mailbox's.",
                "Leave out --finish and --mailbox.",
            )
        rotate_webmail(account, open_console(), yes=yes)
        return ExitCode.OK
    key = _key_of(account, Whose(whose.value), mailbox)
    rotation = Rotation(key, lambda question: agreed(question, yes=yes))
    print(complete(rotation.step(finish=finish)))
    remember(account, open_console())
    return ExitCode.OK


@app.command()
def replace(
    whose: Annotated[Whose, _WHOSE],
    key_id: Annotated[
        str,
        typer.Option(
            "--key", metavar="ID", help="Which of two keys to delete.", show_default=False
        ),
    ] = "",
    mailbox: MailboxOption = "",
    yes: Yes = False,
    out: Out = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Make a new key and delete the old one at once. For when its file or secret is lost.

    Says first what will stop working, and asks: the daemon at home (sync), or every
    mail client that sends (smtp), until it has the new key. If the old one is still
    available, use rotate: then both are valid for a while.

    \b
    Examples:
      postamt-sync bootstrap credentials replace smtp
      postamt-sync bootstrap credentials replace sync --out ./keys
    """
    console = open_console()
    account = opened(config, out)
    key = _key_of(account, whose, mailbox)
    wanted = replacement(key, key_id)
    account.introduce(console)
    paragraph(console, wanted.warning)
    paragraph(console, f"The new one goes into {key.file.path}.")
    agreed("Replace the key?", yes=yes)
    try:
        made = wanted.carry_out()
    finally:
        remember(account, console)
    paragraph(console, f"The key of {key.user} is now {made}; it is in {key.file.path}.")
    if whose is Whose.SMTP:
        show_password(_sending(account, mailbox), console)
        relay = f"sudo postamt-sync dovecot relay {shlex.quote(str(key.file.path))}"
        if mailbox:
            relay += f" --mailbox {mailbox}"
        message = f"Put it into every mail client; for Dovecot's relay: {relay}"
        console.print(Text(message), soft_wrap=True)
    else:
        paragraph(
            console, "Put it onto the box at home, and restart the daemon, or it can read no mail."
        )
    return ExitCode.OK


@app.command()
def retire(
    yes: Yes = False,
    out: Out = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Delete SMTP users that the configuration no longer asks for.

    After a change of smtp_per_mailbox, apply keeps the old ones until they have not
    been used for a week. This does not wait: whatever sends with them is refused
    from then on. The current users are never touched.

    \b
    Examples:
      postamt-sync bootstrap credentials retire
    """
    console = open_console()
    account = opened(config, out)
    account.introduce(console)
    found = plan_removal([account.former_users])
    show_plan(found, console)
    if not found.changes:
        console.print("\nNothing to delete.")
        return ExitCode.OK
    console.print()
    agreed("Delete what may still be in use?", yes=yes)
    carry_out(found, account.aws, lambda _, done: console.print(Text(done)))
    return ExitCode.OK


def _key_of(account: Opened, whose: Whose, mailbox: str) -> AccessKeyResource:
    if whose is Whose.SMTP:
        return _sending(account, mailbox).key
    if mailbox:
        raise UsageError("The box at home has one key for all mailboxes.", "Leave --mailbox out.")
    return account.keys.sync


def _sending(account: Opened, mailbox: str) -> SmtpKey:
    """Return the SMTP key that the options name."""
    sending = account.keys.sending
    if not sending and account.stack.region in WITHOUT_SMTP:
        raise MisconfiguredError(
            f"SES has no SMTP endpoint in {account.stack.region}, so there is no key for it.",
            "Send through another region.",
        )
    if mailbox:
        known_mailbox(account.settings, mailbox)
    for one in sending:
        if one.mailbox == mailbox:
            return one
    if not account.stack.smtp_senders:
        raise UsageError(
            "All mailboxes share one SMTP user.",
            "Leave --mailbox out, or give each its own: smtp_per_mailbox = true in [stack].",
        )
    if mailbox:
        raise UsageError(
            f"The mailbox {mailbox!r} has no SMTP user: it has no address to send from.",
            "Give it one in addresses, then: " + account.line.typed("bootstrap apply"),
        )
    raise UsageError(
        "Each mailbox has its own SMTP user.",
        f"Name one with --mailbox: {', '.join(one.mailbox for one in sending) or 'there is none'}",
    )
