"""The verbs of the command line, each imported only when it is typed.

A Raspberry Pi should not load the demo's web framework to deliver mail.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
import typer.core
import typer.main

from postamt_sync.cli.typed_text import take_utf8, takes_utf8

PROGRAM = "postamt-sync"
SUMMARY = "bring mail home: from AWS SES and S3 into Maildirs, each mail once, whatever happens"


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb, where it lives (`module:attribute`, a function or a typer app), and what it does."""

    name: str
    target: str
    summary: str


VERBS = (
    # One line a verb, in the order of the help.
    Verb("setup", "postamt_sync.cli.setup:setup", "From nothing to mail: one conversation."),
    Verb("join", "postamt_sync.cli.join:join", "Make this machine the box that setup prepared."),
    Verb("run", "postamt_sync.cli.run:run", "Run the daemon."),
    Verb("sync", "postamt_sync.cli.sync:sync", "Go through the bucket once, and exit."),
    Verb("status", "postamt_sync.cli.status:status", "Show how things stand."),
    Verb("find", "postamt_sync.cli.find:find", "Say where a mail is, and how it came there."),
    Verb("doctor", "postamt_sync.cli.doctor:doctor", "Check every link of the chain."),
    Verb("quarantine", "postamt_sync.cli.quarantine:app", "Undeliverable mail: list, show, retry."),
    Verb("redeliver", "postamt_sync.cli.redeliver:redeliver", "Deliver a mail once more."),
    Verb("mailbox", "postamt_sync.cli.mailbox:app", "A vanished mailbox: accept another Maildir."),
    Verb("verify", "postamt_sync.cli.verify:verify", "Compare bucket, ledger and Maildirs."),
    Verb("restore", "postamt_sync.cli.restore:restore", "Bring back mail that is only in S3."),
    Verb("rebuild", "postamt_sync.cli.rebuild:rebuild", "Make a lost or damaged ledger anew."),
    Verb("bootstrap", "postamt_sync.cli.bootstrap:app", "Build the AWS side."),
    Verb("dovecot", "postamt_sync.cli.dovecot:app", "Dovecot's configuration and its logins."),
    Verb("client", "postamt_sync.cli.client:client", "What to type into a mail client."),
    Verb("webmail", "postamt_sync.cli.webmail:app", "Mail in a browser, from AWS alone."),
    Verb("demo", "postamt_sync.cli.demo:demo", "Watch mail travel, all on this machine."),
    Verb("service", "postamt_sync.cli.service:app", "The systemd service: install, uninstall."),
    Verb("check", "postamt_sync.cli.check:check", "Validate the configuration and show it."),
    Verb("help", "postamt_sync.cli.help:help_", "What a verb does; the man page."),
)


def command_of(verb: Verb) -> Any:
    """Import a verb and return its click command."""
    module, _, attribute = verb.target.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(take_utf8(target))
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(verb.name)(takes_utf8(target))
    return typer.main.get_command(app)


class VerbGroup(typer.core.TyperGroup):
    """A group that knows its verbs by name and imports the one that is typed."""

    verbs: Sequence[Verb] = ()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return [verb.name for verb in self.verbs]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command; what is no verb ends with a guess at the one that was meant."""
        for verb in self.verbs:
            if verb.name == cmd_name:
                return command_of(verb)
        near = difflib.get_close_matches(cmd_name, self.list_commands(ctx), n=1)
        if near and not cmd_name.startswith("-"):
            ctx.fail(f"There is no command {cmd_name!r}; did you mean {near[0]!r}?")
        return None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the list from the summaries: the modules stay unimported."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb.name, verb.summary) for verb in self.verbs])
