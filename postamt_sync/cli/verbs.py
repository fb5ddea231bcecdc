"""The verbs of the command line, each imported only when it is typed.

A Raspberry Pi should not have to load the demo's web framework to deliver mail.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import typer
import typer.core
import typer.main

from postamt_sync.cli.typed_text import take_utf8, takes_utf8
from postamt_sync.errors import ExitCode

PROGRAM = "postamt-sync"
_HERE = "postamt_sync.cli"
SUMMARY = "bring mail home: from AWS SES and S3 into Maildirs, each mail once, whatever happens"


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: where it is (`module:attribute`, a function or a typer app), and what it does."""

    name: str
    target: str
    summary: str
    heading: str = "Commands"


def _under(heading: str, *verbs: Verb) -> tuple[Verb, ...]:
    return tuple(replace(verb, heading=heading) for verb in verbs)


VERBS = (
    # One line per verb, in the order of the help.
    *_under(
        "Set up",
        Verb("setup", f"{_HERE}.setup:setup", "From nothing to mail: one conversation."),
        Verb("join", f"{_HERE}.join:join", "Make this machine the box that setup prepared."),
        Verb("demo", f"{_HERE}.demo:demo", "Watch mail travel, all on this machine."),
        Verb("bootstrap", f"{_HERE}.bootstrap:app", "Build the AWS side, step by step."),
        Verb("service", f"{_HERE}.service:app", "The systemd service: install, uninstall."),
        Verb("dovecot", f"{_HERE}.dovecot:app", "Dovecot's configuration and its logins."),
        Verb("client", f"{_HERE}.client:client", "What to type into a mail client."),
        Verb("check", f"{_HERE}.check:check", "Validate the configuration and show it."),
    ),
    *_under(
        "Every day",
        Verb("run", f"{_HERE}.run:run", "Run the daemon."),
        Verb("sync", f"{_HERE}.sync:sync", "Go through the bucket once, and exit."),
        Verb("status", f"{_HERE}.status:status", "Show how things stand."),
        Verb("find", f"{_HERE}.find:find", "Show where a mail is, and how it got there."),
        Verb("webmail", f"{_HERE}.webmail:app", "Mail in a browser, from AWS alone."),
        Verb("seal", f"{_HERE}.seal:app", "Mail at AWS encrypted with your own keys."),
        Verb("help", f"{_HERE}.help:help_", "Help on a verb or topic; the man page."),
    ),
    *_under(
        "When something is wrong",
        Verb("doctor", f"{_HERE}.doctor:doctor", "Check every link of the chain."),
        Verb("quarantine", f"{_HERE}.quarantine:app", "Undeliverable mail: list, retry, leave."),
        Verb("redeliver", f"{_HERE}.redeliver:redeliver", "Deliver a mail once more."),
        Verb("restore", f"{_HERE}.restore:restore", "Bring back mail that is only in S3."),
        Verb("unseal", f"{_HERE}.unseal:unseal", "Write one sealed mail, opened by your gpg."),
        Verb("verify", f"{_HERE}.verify:verify", "Compare bucket, ledger and Maildirs."),
        Verb("rebuild", f"{_HERE}.rebuild:rebuild", "Rebuild a lost or damaged ledger."),
        Verb("mailbox", f"{_HERE}.mailbox:app", "A vanished Maildir: accept another one."),
    ),
)


@functools.cache
def command_of(verb: Verb) -> Any:
    """Import a verb and return its click command, which is built once in a process."""
    module, _, attribute = verb.target.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(take_utf8(target))
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(verb.name)(takes_utf8(target))
    return typer.main.get_command(app)


def end_without_verb(context: typer.Context) -> None:
    """Show the help of a group and exit, if none of its verbs was typed."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


class VerbGroup(typer.core.TyperGroup):
    """A group that knows its verbs by name, and imports only the one that was typed."""

    verbs: Sequence[Verb] = ()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return [verb.name for verb in self.verbs]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command; for an unknown verb, fail with the one that was probably meant."""
        for verb in self.verbs:
            if verb.name == cmd_name:
                return command_of(verb)
        near = difflib.get_close_matches(cmd_name, self.list_commands(ctx), n=1)
        if near and not cmd_name.startswith("-"):
            ctx.fail(f"There is no command {cmd_name!r}; did you mean {near[0]!r}?")
        return None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the lists from the summaries, grouped by task, without importing the verbs."""
        longest = max(len(verb.name) for verb in self.verbs)
        for heading in dict.fromkeys(verb.heading for verb in self.verbs):
            with formatter.section(heading):
                below = [verb for verb in self.verbs if verb.heading == heading]
                formatter.write_dl([(v.name.ljust(longest), v.summary) for v in below])
