"""Options that several verbs have, and the mailbox that an option names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.config import Mailbox, Settings
from postamt_sync.errors import UsageError
from postamt_sync.events import printable

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="Configuration file; else $POSTAMT_SYNC_CONFIG, else /etc/postamt-sync/config.toml.",
        show_default=False,
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Log every step; show tracebacks.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; its keys: postamt-sync help json")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ResolverAddress = Annotated[
    str,
    typer.Option("--resolver", metavar="ADDRESS", help="The resolver to ask; else the system's."),
]
NewDomains = Annotated[
    list[str] | None,
    typer.Option("--domain", metavar="NAME", help="A domain that gets mail; repeat it."),
]
MailboxName = Annotated[
    str, typer.Argument(metavar="NAME", help="Which mailbox, as the configuration names it.")
]
DovecotDirectory = Annotated[
    Path, typer.Option("--directory", metavar="PATH", help="Where Dovecot's files are.")
]


def known_mailbox(settings: Settings, name: str) -> Mailbox:
    """Return the mailbox with this name. Raises UsageError if there is none."""
    known = {mailbox.name: mailbox for mailbox in settings.mailboxes}
    if name not in known:
        raise UsageError(
            f"There is no mailbox {printable(name)!r} in the configuration.",
            f"Name one of: {', '.join(known)}",
        )
    return known[name]
