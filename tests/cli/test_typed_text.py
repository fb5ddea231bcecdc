"""Keys, addresses and names as they are typed, in whatever locale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.cli.typed_text import utf8
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.ledger import Ledger
from tests.doubles.ledger import event
from tests.support.household import configure

ROOT = Path(__file__).parents[2]


def config(tmp_path: Path) -> Path:
    return configure(tmp_path)


@pytest.mark.parametrize("text", ["incoming/é", "Müller", "日本", "a" * 500, ""])
def test_what_was_typed_in_utf8_is_text_in_every_locale(text: str) -> None:
    assert utf8(text) == text


def test_what_is_no_text_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no UTF-8 text"):
        utf8(os.fsdecode(b"incoming/\xe9"))


@pytest.mark.parametrize(
    "argv",
    [
        ["redeliver", "{}"],
        ["quarantine", "show", "{}"],
        ["quarantine", "retry", "{}"],
        ["restore", "{}"],
        ["mailbox", "accept", "{}"],
        ["client", "{}"],
        ["dovecot", "user", "add", "{}"],
        ["verify", "--except", "{}"],
        ["sync", "--since", "{}"],
        ["doctor", "--round-trip", "--to", "{}"],
        ["bootstrap", "dns", "--domain", "{}"],
        ["bootstrap", "init", "--domain", "{}"],
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_every_verb_refuses_it_with_a_sentence(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = os.fsdecode(b"x\xe9")
    more = [] if "init" in argv else ["--config", str(config(tmp_path))]
    assert run([*(word.format(bad) for word in argv), *more]) == ExitCode.USAGE
    assert "Error: x\\udce9 is no UTF-8 text." in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["check", "--config", "{}"], ["status", "--config", "{}"]])
def test_paths_may_be_of_any_octets(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / os.fsdecode(b"\xe9.toml")
    place.write_text(config(tmp_path).read_text())
    code = run([word.format(place) for word in argv])
    assert "UTF-8" not in capsys.readouterr().err
    assert code in {ExitCode.OK, ExitCode.TRY_LATER, ExitCode.CONFIGURATION}


@pytest.mark.slow
@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "", "LANG": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_a_key_that_is_not_ascii_is_found_in_a_posix_locale(
    tmp_path: Path, locale: dict[str, str]
) -> None:
    key = "incoming/Grüße-日本"
    ledger = Ledger.open(tmp_path / "state")
    ledger.arrivals.record([event(key=key)])
    ledger.close()
    typed = [sys.executable, "-m", "postamt_sync", "redeliver", key]
    done = subprocess.run(
        [*typed, "--config", str(config(tmp_path))],
        env={**os.environ, **locale},
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"will be delivered once more" in done.stdout
