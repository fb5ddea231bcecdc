"""The README is a promise: its commands are taken from it and run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer.main

from postamt_sync.bootstrap.pricing import Usage, bill
from postamt_sync.cli.topics import topics
from postamt_sync.cli.verbs import VERBS, command_of
from tests.support.documentation import TOPICS, documentation

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
DEMO, TESTS, *_ = re.findall(r"^```sh\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.splitlines()


def command_lines(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words and the long options of each command of ours in code."""
    code = re.findall(r"`([^`\n]+)`", text)
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        code += block.splitlines()
    code += re.findall(r"^    (.*postamt-sync .*)$", text, re.MULTILINE)
    for line in code:
        for said in re.findall(r"(?:^|[ /(])postamt-sync ([a-z][^|#<>]*)", line):
            words = said.split()
            verbs = list(takewhile(lambda w: re.fullmatch(r"[a-z]+(?:-[a-z]+)*", w), words))
            yield verbs, [w.partition("=")[0] for w in words if w.startswith("--")]


def options_of(words: list[str]) -> set[str] | None:
    """Return the options of the verb that these words begin with, None if it is none."""
    verb = next((verb for verb in VERBS if verb.name == words[0]), None)
    if verb is None:
        return None
    command = command_of(verb)
    for word in words[1:]:
        below = (
            getattr(command, "commands", {}).get(word)
            if not hasattr(command, "verbs")
            else (command.get_command(typer.Context(command), word))
        )
        if below is None:
            break
        command = below
    return {name for each in command.params for name in each.opts} | {"--help"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what is in the repository, without what was installed beside it."""
    copy = tmp_path / "checkout"
    for name in tracked_files():
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
    return copy


@pytest.fixture
def package_index(tmp_path: Path) -> None:
    """Skip where nothing can be installed: these tests try what a newcomer types."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "hatchling"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        pytest.skip("no package index can be reached")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("package_index")
def test_the_first_command_shows_the_demo_until_it_is_stopped(checkout: Path) -> None:
    process = subprocess.Popen(
        ["bash", "-c", DEMO],
        cwd=checkout,
        env={k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may have had Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        assert "byte for byte" in said, said
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of them
        said += process.stdout.read()
        assert process.wait() == 0, said  # the tour was over, and all was well
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()


def test_the_second_command_is_what_ci_runs() -> None:
    assert f"{TESTS} --all" in (REPOSITORY / ".ci/run").read_text().splitlines()
    assert os.access(REPOSITORY / TESTS, os.X_OK)


def test_both_come_before_anything_else_to_type() -> None:
    assert "postamt-sync demo" in DEMO
    assert len(DEMO.splitlines()) == 1
    assert len(TESTS.splitlines()) == 1


def test_every_command_that_it_or_a_topic_names_exists() -> None:
    named = set(re.findall(r"postamt-sync ([a-z]+)", documentation()))
    assert named - {"is"} <= {verb.name for verb in VERBS}
    assert {"run", "sync", "status", "check"} <= named


@pytest.mark.slow
def test_every_command_line_is_one_that_can_be_typed() -> None:
    """Verb by verb, and option by option: help would not show what is not there."""
    for command, options in command_lines(documentation()):
        known = options_of(command)
        assert known is not None, command
        assert set(options) <= known, (command, options)


def test_every_topic_that_is_named_exists_and_every_one_is_listed() -> None:
    text = documentation()
    named = set(re.findall(r"postamt-sync help ([a-z]+(?:-[a-z]+)*)", text))
    assert named <= {*topics(), *(verb.name for verb in VERBS)}
    listed = dict(
        re.findall(
            r"^\| `([a-z-]+)` \| \[(.*)\]\(postamt_sync/topics/\1\.md\) \|$", README, re.MULTILINE
        )
    )
    assert listed == topics()


def test_no_topic_is_called_like_a_verb() -> None:
    assert not set(topics()) & {verb.name for verb in VERBS}


def test_every_link_leads_somewhere() -> None:
    for path in (REPOSITORY / "README.md", *TOPICS):
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if "://" not in link:
                assert (path.parent / link).exists(), (path, link)


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 250


def test_what_it_says_of_the_price_is_what_the_bill_says() -> None:
    told = re.search(r"about ([\d.]+) USD a month for (\d+) mails a day", README)
    assert told
    assert f"{bill(Usage(float(told[2]))).usd:.2f}" == told[1]


def test_every_file_that_it_names_exists() -> None:
    for name in ("config.example.toml", "tests/run"):
        assert name in README
        assert (REPOSITORY / name).is_file()


def typed_lines() -> Iterator[tuple[str, str]]:
    """Yield where a whole command of ours stands, and it: to be typed, named, or an example."""
    for path in (REPOSITORY / "README.md", *TOPICS):
        text = path.read_text()
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            yield from ((path.name, line) for line in block.splitlines())
        yield from ((path.name, line) for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE))
        for line in re.findall(r"`(?:sudo )?((?:postamt-sync|bootstrap) [a-z][^`\n]*)`", text):
            yield path.name, f"postamt-sync {line.removeprefix('postamt-sync ')}"
    for verb in VERBS:
        yield from (
            (f"{path} --help", line)
            for path, command in with_those_below(verb.name, command_of(verb))
            for line in (command.help or "").partition("Examples:")[2].splitlines()
        )


def with_those_below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    context = command.make_context(path, [], resilient_parsing=True)
    for name in getattr(command, "list_commands", lambda _: ())(context):
        yield from with_those_below(f"{path} {name}", command.get_command(context, name))


def parse(words: list[str]) -> None:
    """Read a command line to its end as the program does, and do nothing; raises as click does."""
    (verb,) = (verb for verb in VERBS if verb.name == words[0])
    command, context = command_of(verb), None
    while True:
        context = command.make_context(words[0], words[1:], parent=context)
        words = [*getattr(context, "_protected_args", ()), *context.args]
        if not hasattr(command, "list_commands") or not words:
            return
        command = command.get_command(context, words[0])
        assert command is not None, words


@pytest.mark.slow
def test_every_example_is_a_command_line_to_its_last_word() -> None:
    """What stands after it is a comment, a pipe or a sentence that goes on."""
    lines = [
        (where, found[1])
        for where, line in typed_lines()
        for found in re.finditer(r"(?:^|(?<=[ (]))postamt-sync ([a-z-].*)", line)
    ]
    assert len(lines) > 100
    for where, line in lines:
        words = shlex.split(re.split(r" [|<>#&\\]| 2>|\)$", line)[0])
        try:
            parse(words)
        except typer.TyperException as error:
            pytest.fail(f"{where}: {line}: {error.format_message()}")


@pytest.mark.parametrize("path", [REPOSITORY / "README.md", *TOPICS], ids=lambda path: path.stem)
def test_what_is_to_be_typed_is_what_a_shell_can_read(path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["bash", "-n"], input="\n".join(blocks), text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
