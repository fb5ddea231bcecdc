"""`postamt-sync help`: the help of a verb, topics, the man page and shell completion.

The man page (man(7)) is generated from the command line itself, so the two always agree.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from postamt_sync import __version__
from postamt_sync.cli import topics
from postamt_sync.cli.completion import Shell
from postamt_sync.cli.completion import completion as script
from postamt_sync.cli.main import run
from postamt_sync.cli.options import Debug
from postamt_sync.cli.verbs import PROGRAM, SUMMARY, VERBS, Verb, command_of
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.events import printable

SECTION = 1
SURELY = 0.75
"""How similar to a topic a name must be, as a difflib ratio."""
EXIT_CODES = {
    ExitCode.OK: "All is well.",
    ExitCode.UNDELIVERED: "Some mail could not be delivered.",
    ExitCode.CHANGES: "bootstrap plan: there are changes to make.",
    ExitCode.FINDINGS: "check, doctor, verify, bootstrap verify: the check found something.",
    ExitCode.USAGE: "The command line is wrong.",
    ExitCode.INTERNAL: "A bug in postamt-sync: please report it.",
    ExitCode.TRY_LATER: "Try later: the network, the clock, a lock that is held, a full disk.",
    ExitCode.CONFIGURATION: (
        "The configuration, the credentials, the region or the bucket are wrong."
    ),
    ExitCode.INTERRUPTED: "Stopped by Ctrl-C, or by answering no.",
    ExitCode.OUTPUT_CLOSED: "The reader of the output went away.",
}
FILES = (
    ("/etc/postamt-sync/config.toml", "The configuration, unless --config or POSTAMT_SYNC_CONFIG."),
    ("/var/lib/postamt-sync", "The ledger, unless state_dir says otherwise."),
)


def man_page(program: str, summary: str, verbs: Sequence[Verb]) -> str:
    """Return the page as roff. Imports the modules of all verbs."""
    lines = [
        f'.TH {_quoted(program.upper())} {SECTION} "" {_quoted(f"{program} {__version__}")}',
        ".SH NAME",
        f"{_text(program)} \\- {_text(summary)}",
        ".SH SYNOPSIS",
        f".B {_text(program)}",
        r"\fIVERB\fR [\fIOPTION\fR ...]",
        ".SH VERBS",
    ]
    for verb in verbs:
        lines += _command(program, verb.name, command_of(verb))
    codes = [(str(code.value), words) for code, words in EXIT_CODES.items()]
    for heading, pairs in (("EXIT STATUS", codes), ("FILES", FILES)):
        lines.append(f".SH {_quoted(heading)}")
        for term, words in pairs:
            lines += [".TP", f".B {_text(term)}", _text(words)]
    return "\n".join(lines) + "\n"


def _command(program: str, name: str, command: Any) -> Iterator[str]:
    called = f"{program} {name}"
    context = command.make_context(called, [], resilient_parsing=True)
    yield f".SS {_quoted(' '.join([called, *command.collect_usage_pieces(context)]))}"
    yield from _prose(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))
    for below in getattr(command, "list_commands", lambda _: ())(context):
        yield from _command(program, f"{name} {below}", command.get_command(context, below))


def _prose(text: str) -> Iterator[str]:
    """Fill paragraphs, except those that begin with a backspace, click's mark for verbatim text."""
    for paragraph in text.strip().split("\n\n"):
        as_it_is = paragraph.lstrip("\n").startswith("\b")
        lines = [line for line in paragraph.replace("\b", "").split("\n") if line.strip()]
        yield ".PP"
        if as_it_is:
            yield ".nf"
        yield from map(_text, lines)
        if as_it_is:
            yield ".fi"


def _text(text: str) -> str:
    """Escape what roff would take for a command; hyphens stay ones that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").rstrip()
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _quoted(text: str) -> str:
    return '"' + _text(text).replace('"', "''") + '"'


def _nearest_topic(name: str) -> str:
    """Return the topic that was clearly meant, "" if there is none or the name is a verb."""
    if any(verb.name == name for verb in VERBS):
        return ""
    near = difflib.get_close_matches(name.lower(), topics.topics(), n=1, cutoff=SURELY)
    return near[0] if near else ""


def _show_schema(verb: str) -> None:
    # Imported late: it imports many rooms.
    from postamt_sync.cli.json_schemas import SCHEMAS, schema_of  # noqa: PLC0415

    if verb not in SCHEMAS:
        raise UsageError(
            f"{printable(verb)!r} prints no JSON.", f"Name one that does: {', '.join(SCHEMAS)}."
        )
    print(json.dumps(schema_of(verb), indent=2))


def help_(
    verb: Annotated[
        list[str] | None,
        typer.Argument(metavar="VERB|TOPIC", help="As in: bootstrap apply; or sieve; or topics."),
    ] = None,
    man: Annotated[bool, typer.Option("--man", help="Print the man page of all verbs.")] = False,
    completion: Annotated[
        Shell | None,
        typer.Option("--completion", help="Print a shell's completion script.", show_default=False),
    ] = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show the help of a verb, a topic, the man page, or the completion script for
    bash, zsh or fish.

    Topics are longer explanations; `help topics` lists them.

    \b
    Examples:
      postamt-sync help sync
      postamt-sync help bootstrap apply
      postamt-sync help topics
      postamt-sync help sieve
      postamt-sync help json status
      postamt-sync help --man | man -l -
      . <(postamt-sync help --completion bash)
    """
    if man:
        print(man_page(PROGRAM, SUMMARY, VERBS), end="")
        return ExitCode.OK
    if completion is not None:
        print(script(completion, PROGRAM, VERBS), end="")
        return ExitCode.OK
    match verb:
        case ["topics"]:
            topics.show_list()
        case ["json", *words] if words:
            _show_schema(" ".join(words))
        case [name] if name in topics.topics():
            topics.show(name)
        case [name] if near := _nearest_topic(name):
            raise UsageError(
                f"There is no command and no topic {printable(name)!r}.",
                f"Did you mean: {PROGRAM} help {near}? All topics: {PROGRAM} help topics",
            )
        case _:
            return ExitCode(run([*(verb or ()), "--help"]))
    return ExitCode.OK
