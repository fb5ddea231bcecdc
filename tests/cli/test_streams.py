"""Standard streams that are closed, full or unread: the work is done, the code says the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from postamt_sync.cli import streams
from postamt_sync.cli.main import run
from postamt_sync.cli.verbs import VERBS
from postamt_sync.errors import ExitCode
from tests.cli.test_main import command_lines
from tests.doubles.verbs import VERBS as DOUBLES
from tests.support.household import configuration, configure

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")


@contextmanager
def unread() -> Iterator[int]:
    """A pipe whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    try:
        yield write
    finally:
        os.close(write)


@contextmanager
def opened(path: str | Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def full() -> AbstractContextManager[int]:
    return opened(FULL, os.O_WRONLY)


def read_only() -> AbstractContextManager[int]:
    return opened(os.devnull, os.O_RDONLY)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    home = (
        f'[home]\nimap_host = "mail.example.org"\ntls_certificate = "{path}"\ntls_key = "{path}"\n'
    )
    return configure(tmp_path, configuration(tmp_path, home))


SPEAKING = [
    ["check"],
    ["check", "--json"],
    ["client"],
    ["client", "--format", "autoconfig", "--smtp-user", "AKIAIOSFODNN7EXAMPLE"],
    ["dovecot", "--version", "2.4"],
]
WITHOUT_CONFIGURATION = [
    ["--help"],
    ["--version"],
    ["help", "--man"],
    ["bootstrap", "cost", "--mails-per-day", "100"],
    ["bootstrap", "cost", "--mails-per-day", "100", "--json"],
    *([*words, "--help"] for words in command_lines()),
]


def ended(
    argv: Sequence[str], descriptor: int, monkeypatch: pytest.MonkeyPatch, verbs: object = VERBS
) -> int:
    monkeypatch.setattr(sys, "stdout", streams.kept(descriptor, None))
    return run(argv, verbs)  # type: ignore[arg-type]


@pytest.mark.parametrize("argv", [*SPEAKING, *WITHOUT_CONFIGURATION], ids=" ".join)
def test_whatever_a_verb_prints_may_go_unread(
    argv: list[str],
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = ["--config", str(config)] if argv in SPEAKING else []
    with unread() as descriptor:
        assert ended([*argv, *more], descriptor, monkeypatch) == ExitCode.OUTPUT_CLOSED
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("argv", [*SPEAKING, *WITHOUT_CONFIGURATION[:5]], ids=" ".join)
def test_and_on_a_full_disk(
    argv: list[str],
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = ["--config", str(config)] if argv in SPEAKING else []
    with full() as descriptor:
        assert ended([*argv, *more], descriptor, monkeypatch) == ExitCode.TRY_LATER
    assert capsys.readouterr().err.startswith("Error: A disk is full")


def test_what_cannot_be_written_to_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with read_only() as descriptor:
        assert ended(["--version"], descriptor, monkeypatch) == ExitCode.TRY_LATER
    assert "Bad file descriptor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["code"], ExitCode.TRY_LATER), (["fail", "usage"], 64), (["fail", "later"], 75)],
)
@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_what_went_wrong_before_keeps_its_code(
    argv: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full() as descriptor:
        monkeypatch.setattr(sys, "stdout", streams.kept(descriptor, None))
        print("something")
        assert run(argv, DOUBLES) == code


def test_the_work_goes_on_without_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    with unread() as descriptor:
        monkeypatch.setattr(sys, "stdout", streams.kept(descriptor, None))
        for _ in range(3):
            print("x" * 100_000, flush=True)
            Console().print("rich writes, and ends the process where that fails")
        assert streams.has_failed(sys.stdout)
        assert isinstance(streams.failure(sys.stdout), BrokenPipeError)
        assert streams.failure(sys.stdout) is None


def test_a_stream_that_does_not_wait_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent may have set O_NONBLOCK on a pipe that both of us have."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    child = os.fork()
    if child == 0:
        os.close(write)
        got = sum(len(chunk) for chunk in iter(lambda: os.read(read, 1 << 16), b""))
        os._exit(got != 1_000_000)
    os.close(read)
    stream = streams.kept(write, None)
    stream.write("x" * 1_000_000)
    assert streams.failure(stream) is None
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        ("<&-", 0),
        ("<&- >&- 2>&-", 0),
        ("2>/dev/full", 0),
        (">/dev/full", 75),
        ("1</dev/null", 75),
        ("| true", 141),
        ("2>&1 | true", 141),
    ],
)
def test_as_a_shell_does_it(redirected: str, code: int, config: Path) -> None:
    """With the interpreter's own end, which flushes once more."""
    # What is read by `true` is gone by the time that we write: importing takes longer.
    typed = f"set -o pipefail; {sys.executable} -m postamt_sync check --config {config}"
    done = subprocess.run(
        ["bash", "-c", f"{typed} {redirected}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """What is opened first would get the number 1, and all that is printed would go into it."""
    code = f"""
import os, sys
from postamt_sync.cli.main import run
from tests.doubles.verbs import VERBS
run(["well"], VERBS)
with open({str(tmp_path / "ledger")!r}, "w") as ledger:
    print("not into the ledger", flush=True)
    print("nor this", file=sys.stderr, flush=True)
    sys.exit(ledger.fileno() < 3)
"""
    typed = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "-", sys.executable, "-c", code]
    assert subprocess.run(typed, cwd=ROOT, check=False).returncode == 0
    assert (tmp_path / "ledger").read_text() == ""
