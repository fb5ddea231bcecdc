"""What the verbs for the AWS side have in common: the open stack, and how to show a plan."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.configuration import ConfigDrift
from postamt_sync.bootstrap.key_place import KeyHints
from postamt_sync.bootstrap.open_stack import (
    key_directory,
    open_stack,
    queue_urls,
    remember_out,
    remembered_out,
    seal_of,
)
from postamt_sync.bootstrap.plan import Plan, Resource, plan
from postamt_sync.bootstrap.resources.access_key import AccessKeyResource, ids_of
from postamt_sync.bootstrap.resources.former_users import FormerUsersResource
from postamt_sync.bootstrap.rule_position import Position, read_position
from postamt_sync.bootstrap.seal_resources import SealingOffResource, code_with
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_resources import (
    SmtpKey,
    StackKeys,
    former_users,
    keys,
    resources,
)
from postamt_sync.cli.console import paragraph
from postamt_sync.config import Settings, load
from postamt_sync.config.command import CommandLine
from postamt_sync.errors import UsageError
from postamt_sync.events import printable

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Where to keep credentials; else as before, or below ~/.config/postamt-sync.",
        show_default=False,
    ),
]
PositionOption = Annotated[
    str,
    typer.Option(
        "--position",
        metavar="WHERE",
        help="The position of our receipt rule: first, last or after:RULE.",
        show_default=False,
    ),
]
Wheel = Annotated[
    Path | None,
    typer.Option(
        "--wheel",
        metavar="FILE",
        help="With [seal], if pip cannot download it: the wheel of pysequoia.",
        show_default=False,
    ),
]


_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Opened:
    """A configuration, its stack, and the account."""

    settings: Settings
    stack: Stack
    aws: AwsClient
    directory: Path
    hints: KeyHints
    line: CommandLine
    wheel: Path | None = None

    @property
    def keys(self) -> StackKeys:
        """The users' access keys and their files."""
        return keys(self.stack, self.aws, self.directory, self.hints, self.line)

    @property
    def former_users(self) -> FormerUsersResource:
        """The SMTP users that the configuration no longer asks for."""
        return former_users(self.stack, self.aws, self.keys, self.line)

    def resources(self, position: str = "", delete_mail: str = "") -> list[Resource]:
        """Return everything that the stack consists of, and the configuration last."""
        where: Position | None = read_position(position) if position else None
        made = resources(
            self.stack,
            self.aws,
            self.directory,
            position=where,
            delete_mail=delete_mail,
            hints=self.hints,
            line=self.line,
            seal_code=code_with(self.wheel),
        )
        if self.stack.seal is None:
            made.append(SealingOffResource(seal_of(self.settings, self.stack.account), self.aws))
        urls = queue_urls(self.stack, self.aws)
        return [*made, ConfigDrift(self.stack, self.settings, urls)]

    def plan(self, position: str = "") -> Plan:
        return plan(self.resources(position))

    def introduce(self, console: Console) -> None:
        """Print which account this is: working on the wrong one is the most expensive mistake."""
        stack = self.stack
        line = f"Stack {stack.name} in {stack.region}, account {stack.account}"
        console.print(Text(line, style="bold"))


def opened(config: Path | None, out: Path | None, wheel: Path | None = None) -> Opened:
    """Read the configuration and ask AWS for the account of the credentials.

    `wheel` is pysequoia's, for the sealing function, if pip is not to download it.
    """
    settings = load(config)
    stack, aws = open_stack(settings)
    remembered = remembered_out(stack) or key_directory(stack)
    directory = remembered if out is None else out.absolute()
    hints = KeyHints(Path(settings.source).absolute())
    return Opened(settings, stack, aws, directory, hints, CommandLine(settings.source, out), wheel)


def show(found: Plan, console: Console, mark: str = "+") -> None:
    """Print a plan for people: changes, then conflicts, then notes.

    `mark` goes before each change: "-" if things are removed.
    """
    title = ""
    for resource, change in found.changes:
        if resource != title:
            title = resource
            console.print(Text(f"\n{mark} {resource}", style="green" if mark == "+" else "red"))
        paragraph(console, change.message, _INDENT)
    for resource, conflict in found.conflicts:
        console.print(Text(f"\n! {resource}", style="red"))
        paragraph(console, conflict.message, _INDENT)
        paragraph(console, conflict.remedy, _INDENT)
    title = ""
    for resource, note in found.notes:
        if resource != title:
            title = resource
            console.print(Text(f"\n. {resource}"))
        paragraph(console, note.message, _INDENT)


def counted(console: Console, changes: int) -> Callable[[str, str], None]:
    """Return what prints each change as it is made, with its number."""
    numbers = itertools.count(1)

    def done(resource: str, message: str) -> None:
        said = f"{next(numbers):>3}/{changes} {resource}: {message}"
        paragraph(console, said, hanging=" " * 8)

    return done


def agreed(question: str, *, yes: bool) -> None:
    """Ask for confirmation unless `yes`. Raises UsageError if nobody can be asked, Abort on no."""
    if yes:
        return
    if not may_ask():
        raise UsageError("There is no terminal to ask at.", "Use --yes to go on without asking.")
    typer.confirm(question, abort=True)


def may_ask() -> bool:
    """Whether there is a person to ask."""
    return Console().is_terminal and typer.get_text_stream("stdin").isatty()


def remember(account: Opened, console: Console) -> None:
    """Note beside the configuration which keys are in this run's files; remember --out too."""
    if account.line.out is not None:
        remember_out(account.stack, account.directory)
    kept = account.keys
    files: dict[str, Path] = {}
    for key in kept.every:
        held = key.file.look()
        if held.key_id and held.owner in {"", key.file.owner}:
            files[held.key_id] = key.file.path
    problem = account.hints.remember(files)
    if problem:
        console.print()
        paragraph(console, problem)


def located(key: AccessKeyResource) -> str:
    """Name the file that holds the user's key, or the key whose file the person must find."""
    keys = key.keys()
    found = key.where(keys)
    if found is not None:
        return printable(str(found[1]), 4096)
    if not keys:
        return str(key.file.path)
    ids = sorted(ids_of(keys))
    hint = key.place.hint(ids).strip()
    return f"the file that has {' or '.join(ids)}{f' ({hint[:-1]})' if hint else ''}"


def key_files(account: Opened) -> list[str]:
    """Return the files that hold the users' keys, quoted for a shell."""
    kept = account.keys
    found = [key.where(key.keys()) for key in kept.every]
    return [shlex.quote(printable(str(one[1]), 4096)) for one in found if one is not None]


def show_password(key: SmtpKey, console: Console) -> None:
    """Show the credentials for a mail client, but only to a person at a terminal."""
    if not may_ask():
        return
    values = key.file.read()
    whose = f"For {key.mailbox} to send with" if key.mailbox else "For mail clients that send"
    console.print(Text(f"\n{whose}:", style="bold"))
    for name in ("server", "port", "security", "username", "password"):
        console.print(Text(f"  {name:<9} {values.get(name, '')}"), soft_wrap=True)
    paragraph(
        console, "To see it again: postamt-sync bootstrap credentials show --password", _INDENT
    )
