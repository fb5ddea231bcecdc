"""A command as a person has to type it: with the options that are in force.

Texts name commands bare (`postamt-sync status`); whoever shows one to a person passes it through
`CommandLine.complete`, which puts the options in.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.events import printable

LONGEST_PATH = 4096
LONGEST_VERB = 3
"""Words, as in `bootstrap credentials show`."""

WITH_OUT = {
    *("bootstrap apply", "bootstrap destroy", "bootstrap plan", "bootstrap verify"),
    *(f"bootstrap credentials {verb}" for verb in ("replace", "retire", "rotate", "show")),
}
"""The verbs that take --out, besides --config."""

VERBS = WITH_OUT | {
    *("bootstrap cost", "bootstrap dns", "bootstrap production-access", "bootstrap reindex"),
    *("check", "client"),
    *(
        "doctor",
        "dovecot",
        "dovecot relay",
        "dovecot sendmail",
        "dovecot user add",
        "dovecot user passwd",
    ),
    *(
        "find",
        "mailbox accept",
        "quarantine list",
        "quarantine leave",
        "quarantine retry",
        "quarantine show",
        "rebuild",
    ),
    *("redeliver", "restore", "run", "service certificate", "service install"),
    *("seal check", "seal prove", "service uninstall", "status", "sync"),
    *("unseal", "verify", "webmail serve"),
    *(f"webmail user {verb}" for verb in ("add", "list", "remove", "rotate")),
}
"""All verbs that take --config; the command line itself has them too."""

BARE = {"bootstrap init", "join", "setup"}
"""Verbs that take none."""

_NAMED = re.compile(r"\bpostamt-sync((?: [a-z][a-z0-9]*(?:-[a-z0-9]+)*(?![\w-]))+)(?!, process \d)")
"""Not a running process, which is called by its verb."""
_BEFORE = re.compile(r"(?:sudo )?(?:[A-Z][A-Z_]*=\S+ )*$")
_OPTION = re.compile(r" --[a-z][a-z0-9-]*")
_VALUE = re.compile(r" (?!--)(?:'[^']*'|[^\s'(]+)+")
_OPERAND = re.compile(
    r" (?:(?:sync|smtp)(?![\w-])"  # whose key it is
    r"|(?!--)(?:'[^']*'|[^\s'(]+?)(?= --(?:config|mailbox|out) |\.*$))"
)
"""What is told by its name; anything else where options of ours, or nothing, follow it."""
_WITH_VALUE = {
    *(
        "--certificate",
        "--config",
        "--delete-mail",
        "--format",
        "--mailbox",
        "--only",
        "--out",
        "--output",
    ),
    *("--position", "--since"),
}
_SPACE = "\x00"
"""Stands for a blank at which no line may end."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The configuration's path, "" for the usual one, and the directory given with --out.

    Files are named by their whole paths, so that a command works in every directory and without
    the variables of our own environment.
    """

    source: str = ""
    out: Path | None = None

    def typed(self, verb: str) -> str:
        """Return the whole command for `verb`."""
        return f"postamt-sync {verb}{self._options(out=True)}"

    def complete(self, text: str) -> str:
        """Return a text with the options in every command that it names and that lacks them."""
        if not self._options(out=True):
            return text
        return complete(text, lambda verb: f" {verb}{self._options(out=verb in WITH_OUT)}")

    def _options(self, *, out: bool) -> str:
        config = Path(self.source or DEFAULT_PATH).absolute()
        options = f" --config {_word(config)}" if config != DEFAULT_PATH else ""
        if out and self.out is not None:
            options += f" --out {_word(self.out.absolute())}"
        return options


USUAL_LINE = CommandLine()


def typed(verb: str, source: str = "") -> str:
    """Return the command for `verb` with the configuration that was read from `source`."""
    return CommandLine(source).typed(verb)


def complete(text: str, whole: Callable[[str], str]) -> str:
    """Replace each verb that a text names by what `whole` makes of it, unless it has options."""
    parts, done = [], 0
    for start, end, verb in _named(text):
        following = text[end:].partition("postamt-sync ")[0]
        if " --config " not in following and not following.startswith(" --help"):
            parts += [text[done:start], whole(verb)]
            done = end
    return "".join([*parts, text[done:]])


def fill(text: str, width: int, first: str = "", other: str = "") -> str:
    """Wrap a text at `width` columns, but leave each command, and each word, in one piece."""
    whole = list(text)
    for start, end in commands_in(text):
        whole[start:end] = [_SPACE if c == " " else c for c in whole[start:end]]
    return textwrap.fill(
        "".join(whole),
        width,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_SPACE, " ")


def _named(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where a verb stands, with the blank before it, and which it is."""
    for found in _NAMED.finditer(text):
        words = found[1].split()
        for number in range(min(LONGEST_VERB, len(words)), 0, -1):
            verb = " ".join(words[:number])
            if verb in VERBS or verb in BARE:
                if verb in VERBS:
                    yield found.start(1), found.start(1) + len(verb) + 1, verb
                break


def commands_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield from where to where commands go: what stands before them, and their options."""
    for found in _NAMED.finditer(text):
        words = found[1].split()
        known = (" ".join(words[:n]) for n in range(min(LONGEST_VERB, len(words)), 0, -1))
        verb = next((one for one in known if one in VERBS or one in BARE), "")
        end = found.start(1) + (len(verb) + 1 if verb else 0)
        while part := _OPTION.match(text, end) or _OPERAND.match(text, end):
            end = part.end()
            if part[0].strip() in _WITH_VALUE and (value := _VALUE.match(text, end)):
                end = value.end()
        before = _BEFORE.search(text[: found.start()])
        yield (before.start() if before else found.start()), end


def _word(path: Path) -> str:
    return shlex.quote(printable(str(path), LONGEST_PATH))
