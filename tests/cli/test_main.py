from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from postamt_sync import __version__
from postamt_sync.cli.main import WIDTH, run
from postamt_sync.cli.verbs import VERBS, Verb, command_of
from postamt_sync.errors import ExitCode
from tests.doubles.verbs import LONG_URL
from tests.doubles.verbs import VERBS as DOUBLES
from tests.support.syntax import nodes

WITHOUT_CONFIGURATION = {"join", "setup", "demo", "help"}
ROOT = Path(__file__).parents[2]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )


def errors(capsys: pytest.CaptureFixture[str], argv: Sequence[str], code: int) -> str:
    assert run(argv, DOUBLES) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def command_lines() -> Iterator[list[str]]:
    """Yield every verb, and the verbs of those that have some."""
    for verb in VERBS:
        yield [verb.name]
        for name in getattr(command_of(verb), "commands", {}):
            yield [verb.name, name]


def test_verbs_of_verbs_are_among_them() -> None:
    assert ["quarantine", "retry"] in list(command_lines())


@pytest.mark.parametrize(
    "argv", [["--help"], ["-h"], *([*words, "--help"] for words in command_lines())]
)
def test_help_fits_80_columns_and_has_examples(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert run(argv) == ExitCode.OK
    out = capsys.readouterr().out
    assert "\n  Examples:\n" in out
    assert max(map(len, out.splitlines())) <= WIDTH
    assert "..." not in out.partition("\nCommands:\n")[2], "a summary is cut off"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_config_and_debug(capsys: pytest.CaptureFixture[str], verb: Verb) -> None:
    run([verb.name, "--help"])
    out = capsys.readouterr().out
    if not hasattr(command_of(verb), "commands"):
        assert "--debug" in out
        assert "--config PATH" in out or verb.name in WITHOUT_CONFIGURATION


def test_an_option_of_several_verbs_is_declared_once() -> None:
    """In cli/options.py, or where its group of verbs has what they share."""
    places: dict[str, list[str]] = {}
    for module in sorted((ROOT / "postamt_sync" / "cli").rglob("*.py")):
        for node in nodes(module):
            match node:
                case ast.Call(func=ast.Attribute(ast.Name("typer"), "Option" | "Argument")):
                    where = f"{module.relative_to(ROOT)}:{node.lineno}"
                    places.setdefault(ast.unparse(node), []).append(where)
    assert len(places) > 50
    assert [where for where in places.values() if len(where) > 1] == []


def test_help_lists_every_verb_without_importing_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"], DOUBLES) == ExitCode.OK
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()] == [
        verb.name for verb in DOUBLES
    ]


def test_no_verb_shows_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.USAGE
    assert "Set up:" in capsys.readouterr().out


def test_version_is_printed_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"postamt-sync {__version__}\n"


def test_what_verbs_need_is_not_loaded_before_they_are_typed() -> None:
    code = """
import sys
from postamt_sync.cli.main import run
run(["--help"])
heavy = {"aiohttp", "boto3", "pydantic", "pydantic_settings", "rich", "sqlite3", "structlog"}
print("loaded", *(heavy & set(sys.modules)))
"""
    assert python("-c", code).stdout.splitlines()[-1] == "loaded"


@pytest.mark.slow
def test_what_is_for_programs_loads_nothing_that_draws() -> None:
    """Nor anything that speaks to a network or waits for one: monitoring asks every minute."""
    code = """
import sys
from postamt_sync.cli.main import run
run(["status", "--json", "--config", "/nowhere"])
heavy = {"aiohttp", "asyncio", "boto3", "botocore", "cryptography", "rich", "ssl", "structlog"}
print("loaded", *(heavy & set(sys.modules)))
"""
    assert python("-c", code).stdout.splitlines()[-1] == "loaded"


@pytest.mark.slow
def test_a_pass_that_nobody_watches_loads_nothing_that_draws() -> None:
    """An import on a small machine needs its memory for mail."""
    code = """
import sys
from postamt_sync.cli.main import run
run(["sync", "--config", "/nowhere"])
heavy = {"boto3", "cryptography", "jinja2", "prometheus_client", "pygments", "rich"}
print("loaded", *(heavy & set(sys.modules)))
"""
    assert python("-c", code).stdout.splitlines()[-1] == "loaded"


def test_no_garbage_is_looked_for_at_the_end() -> None:
    """It takes a twentieth of what `status` does."""
    code = """
import atexit, gc, sys
from postamt_sync.cli.main import main
atexit.register(lambda: print("left", len(gc.get_objects())))
sys.argv = ["postamt-sync", "--version"]
main()
"""
    left = python("-c", code).stdout.splitlines()[-1]
    assert int(left.removeprefix("left ")) < 1000, left


def test_options_reach_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["well", "--config", "x.toml", "--debug"], DOUBLES) == ExitCode.OK
    assert capsys.readouterr().out == "well x.toml True\n"


def test_a_verb_may_return_a_code() -> None:
    assert run(["code"], DOUBLES) == ExitCode.CHANGES
    assert run(["code", "--number", "0"], DOUBLES) == ExitCode.OK


def test_a_verb_may_have_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["several", "list"], DOUBLES) == ExitCode.OK
    assert run(["several", "show", "k"], DOUBLES) == ExitCode.OK
    assert capsys.readouterr().out == "listed\nshown k\n"


@pytest.mark.parametrize(
    ("argv", "problem", "hint"),
    [
        (["wel"], "There is no command 'wel'; did you mean 'well'?", "postamt-sync --help"),
        (["qqqq"], "No such command 'qqqq'.", "postamt-sync --help"),
        (["--wrong"], "No such option: --wrong", "postamt-sync --help"),
        (["well", "--wrong"], "No such option: --wrong", "postamt-sync well --help"),
        (["well", "more"], "Got unexpected extra argument", "postamt-sync well --help"),
        (["fail"], "Missing argument", "postamt-sync fail --help"),
        (["code", "--number", "x"], "Invalid value for '--number'", "postamt-sync code --help"),
        (["several", "wrong"], "No such command 'wrong'.", "postamt-sync several --help"),
        (["q\n\x1b[31m"], "No such command", "postamt-sync --help"),
    ],
)
def test_a_usage_error_points_to_the_help(
    capsys: pytest.CaptureFixture[str], argv: list[str], problem: str, hint: str
) -> None:
    first, *_, last = errors(capsys, argv, ExitCode.USAGE).splitlines()
    assert first.startswith(f"Error: {problem}")
    assert last == f"Hint: See what there is with: {hint}"
    assert "\x1b" not in first


def test_a_usage_error_is_one_object_where_json_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["sync", "--json", "--wrong"]) == ExitCode.USAGE
    said = json.loads(capsys.readouterr().out)
    assert said["error"].startswith("No such option: --wrong")
    assert said["hint"] == "See what there is with: postamt-sync sync --help"


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("later", 75, "Error: The network is away.\nHint: Plug it in.\n"),
        ("usage", 64, "Error: That cannot be.\n"),
        ("ctrl-c", ExitCode.INTERRUPTED, "Stopped.\n"),
        ("abort", ExitCode.INTERRUPTED, "Stopped.\n"),
        ("exit", 75, ""),
    ],
)
def test_an_error_ends_with_its_exit_code_and_hint(
    capsys: pytest.CaptureFixture[str], kind: str, code: int, told: str
) -> None:
    assert errors(capsys, ["fail", kind], code) == told


def test_long_sentences_are_wrapped_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = errors(capsys, ["fail", "plain"], ExitCode.TRY_LATER).splitlines()
    assert len(line) > WIDTH
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    lines = errors(capsys, ["fail", "plain"], ExitCode.TRY_LATER).splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(" ".join(lines).split()) == line


def test_what_is_to_be_copied_stays_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    assert LONG_URL in errors(capsys, ["fail", "long"], ExitCode.TRY_LATER)


def test_a_bad_parameter_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in errors(capsys, ["fail", "parameter"], ExitCode.USAGE)


def test_the_unforeseen_is_one_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    told = errors(capsys, ["fail", "unforeseen"], ExitCode.INTERNAL)
    assert told.startswith("Error: Unexpected error: RuntimeError: ")
    assert "Traceback" not in told
    assert "\x1b" not in told
    assert "--debug" in told
    assert "RuntimeError.\n" in errors(capsys, ["fail", "empty"], ExitCode.INTERNAL)


@pytest.mark.parametrize(("kind", "code"), [("unforeseen", 70), ("later", 75)])
def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], kind: str, code: int
) -> None:
    told = errors(capsys, ["fail", kind, "--debug"], code)
    assert told.startswith("Traceback (most recent call last):")
    assert "\nError: " in told


def test_a_verb_whose_module_is_broken_breaks_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["well"], DOUBLES) == ExitCode.OK
    capsys.readouterr()
    assert "no_such_module" in errors(capsys, ["broken"], ExitCode.INTERNAL)


def without_reader(*words: str, stream: int) -> subprocess.CompletedProcess[str]:
    """Type a command whose output (1) or errors (2) nobody reads."""
    code = f"""
import os, sys
from postamt_sync.cli.main import run
from tests.doubles.verbs import VERBS
read, write = os.pipe()
os.close(read)
os.dup2(write, {stream})
sys.exit(run({list(words)}, VERBS))
"""
    return python("-c", code)


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error() -> None:
    done = without_reader("--help", stream=1)
    assert done.returncode == ExitCode.OUTPUT_CLOSED
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["later", "unforeseen", "ctrl-c"])
def test_nor_is_one_that_does_not_hear_of_an_error(kind: str) -> None:
    assert without_reader("fail", kind, stream=2).returncode == ExitCode.OUTPUT_CLOSED


@pytest.mark.slow
def test_another_pipe_that_breaks_is_a_fault_of_ours() -> None:
    """A server that hangs up must not look like `| head`."""
    done = python("-m", "tests.doubles.verbs", "fail", "pipe")
    assert done.returncode == ExitCode.INTERNAL
    assert "BrokenPipeError" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_for_which_there_is_no_room_is_to_be_tried_again() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "postamt_sync", "--help"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    assert done.returncode == ExitCode.TRY_LATER
    assert done.stderr.startswith("Error: A disk is full")
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "words", "code"),
    [
        ("postamt_sync", ["--version"], 0),
        ("postamt_sync", ["doctor", "--config", "{config}"], 3),
        ("postamt_sync", ["nope"], 64),
        ("tests.doubles.verbs", ["fail", "unforeseen"], 70),
        ("tests.doubles.verbs", ["broken"], 70),
        ("tests.doubles.verbs", ["fail", "later"], 75),
        ("postamt_sync", ["check", "--config", "{config}"], 78),
        ("postamt_sync", ["status", "--config", "/nowhere.toml"], 78),
        ("tests.doubles.verbs", ["fail", "ctrl-c"], 130),
    ],
)
def test_the_process_ends_with_the_code(
    tmp_path: Path, module: str, words: list[str], code: int
) -> None:
    """1, 2 and 141 have their tests where mail is synced, a plan made, and a pipe broken."""
    config = tmp_path / "config.toml"
    config.write_text("state_dir = 7\n")
    done = python("-m", module, *(word.format(config=config) for word in words))
    assert done.returncode == code, done


@pytest.mark.slow
def test_runs_as_a_module() -> None:
    done = python("-m", "postamt_sync", "chek")
    assert done.returncode == ExitCode.USAGE
    assert "did you mean 'check'?" in done.stderr


@pytest.mark.parametrize("verb", ["ctrl-c", "abort"])
def test_on_a_terminal_stopped_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """The cursor stands behind what the terminal echoed."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(["fail", verb], DOUBLES) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "\nStopped.\n"
