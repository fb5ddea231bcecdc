"""Shell completion for verbs and options, generated from the command line itself.

The scripts are static: starting a process of ours would take half a second on a Raspberry Pi at
every press of the key.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Any

from postamt_sync.cli.topics import topics
from postamt_sync.cli.verbs import Verb, command_of


class Shell(enum.StrEnum):
    """A shell that we write completion for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


Words = dict[str, tuple[tuple[str, str], ...]]
"""By command ("", "bootstrap", "bootstrap apply"): the words that may follow, with their help."""


def completion(shell: Shell, program: str, verbs: Sequence[Verb]) -> str:
    """Return the script for a shell. Imports the modules of all verbs."""
    words = following(verbs)
    match shell:
        case Shell.BASH:
            return _bash(program, words)
        case Shell.ZSH:
            return _zsh(program, words)
        case Shell.FISH:
            return _fish(program, words)


def following(verbs: Sequence[Verb]) -> Words:
    """Return which words may follow each command."""
    found: Words = {"": tuple((verb.name, verb.summary) for verb in verbs)}
    for verb in verbs:
        found |= dict(_below(verb.name, command_of(verb)))
    if "help" in found:
        about = tuple(topics().items())
        found["help"] = (*found[""], *about, *found["help"])
    return found


def _below(path: str, command: Any) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    context = command.make_context(path, [], resilient_parsing=True)
    names = getattr(command, "list_commands", lambda _: ())(context)
    words = [(name, command.get_command(context, name).get_short_help_str(60)) for name in names]
    for parameter in command.get_params(context):
        text = getattr(parameter, "help", "") or ""
        options = [*parameter.opts, *parameter.secondary_opts]
        words += [(option, text) for option in options if option.startswith("--")]
    yield path, tuple(words)
    for name in names:
        yield from _below(f"{path} {name}", command.get_command(context, name))


def _bash(program: str, words: Words) -> str:
    cases = "".join(
        f"        {_quoted(path)}) words={_quoted(' '.join(word for word, _ in found))} ;;\n"
        for path, found in words.items()
    )
    return f"""\
# bash completion for {program}
_{_name(program)}() {{
    local known={_quoted(_known(words))}
    local at=1 path='' words='' word current=${{COMP_WORDS[COMP_CWORD]}}
    COMPREPLY=()
    while [ "$at" -lt "$COMP_CWORD" ]; do
        word=${{COMP_WORDS[at]}}
        case "$known" in
            *"|$path${{path:+ }}$word|"*) path="$path${{path:+ }}$word" ;;
        esac
        at=$((at + 1))
    done
    case "$path" in
{cases}    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _{_name(program)} {program}
"""


def _zsh(program: str, words: Words) -> str:
    cases = "".join(
        f"        {_quoted(path)}) words=({' '.join(_described(w, t) for w, t in found)}) ;;\n"
        for path, found in words.items()
    )
    return f"""\
#compdef {program}
_{_name(program)}() {{
    local at=2 joined='' word
    local -a found
    while (( at < CURRENT )); do
        word=${{words[at]}}
        if [[ {_quoted(_known(words))} == *"|$joined${{joined:+ }}$word|"* ]]; then
            joined="$joined${{joined:+ }}$word"
        fi
        (( at++ ))
    done
    case "$joined" in
{cases.replace(" words=(", " found=(")}    esac
    _describe 'word' found || _files
}}
_{_name(program)} "$@"
"""


def _fish(program: str, words: Words) -> str:
    at = f"__{_name(program)}_at"
    known = " ".join(_quoted(path) for path in words if path)
    lines = [
        f"# fish completion for {program}",
        f"function {at}",
        f"    set -l known {known}",
        "    set -l path ''",
        "    for word in (commandline -opc)[2..-1]",
        '        set -l longer (string trim -- "$path $word")',
        '        contains -- "$longer" $known; and set path $longer',
        "    end",
        '    test "$path" = "$argv[1]"',
        "end",
    ]
    for path, found in words.items():
        condition = f"{at} {_quoted(path)}"
        for word, text in found:
            what = f"-l {word.removeprefix('--')}" if word.startswith("--") else f"-f -a {word}"
            when = _quoted(condition)
            lines.append(f"complete -c {program} -n {when} {what} -d {_quoted(_plain(text))}")
    return "\n".join(lines) + "\n"


def _known(words: Words) -> str:
    """Return all commands separated by bars, which no name contains."""
    return "|" + "|".join(path for path in words if path) + "|"


def _described(word: str, text: str) -> str:
    return _quoted(f"{word}:{_plain(text)}")


def _plain(text: str) -> str:
    return " ".join(text.replace(":", " ").split())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _name(program: str) -> str:
    return program.replace("-", "_")
