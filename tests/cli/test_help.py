from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from postamt_sync.cli.help import EXIT_CODES, man_page
from postamt_sync.cli.main import run
from postamt_sync.cli.topics import text_of, topics
from postamt_sync.cli.verbs import VERBS, Verb
from postamt_sync.errors import ExitCode

README = Path(__file__).parents[2] / "README.md"


def test_a_verb_is_helped_as_by_its_own_option(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["sync"], ["bootstrap"], ["bootstrap", "apply"], ["quarantine", "retry"]):
        assert run(["help", *words]) == ExitCode.OK
        helped = capsys.readouterr().out
        assert run([*words, "--help"]) == ExitCode.OK
        assert helped == capsys.readouterr().out


@pytest.mark.parametrize("words", [["nope"], ["bootstrap", "nope"]])
def test_what_is_no_verb_is_told(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert run(["help", *words]) == ExitCode.USAGE
    assert "No such command" in capsys.readouterr().err


def test_without_a_verb_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert all(f"\n  {verb.name} " in out for verb in VERBS)


@pytest.mark.slow
def test_the_man_page_has_every_verb_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "--man"]) == ExitCode.OK
    page = capsys.readouterr().out
    for verb in VERBS:
        assert f'.SS "postamt\\-sync {verb.name}' in page
    assert '.SS "postamt\\-sync bootstrap credentials rotate' in page
    assert "\\-\\-mark\\-delivered" in page


@pytest.mark.slow
def test_the_man_page_and_the_readme_explain_every_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(EXIT_CODES) == list(ExitCode)
    run(["help", "--man"])
    _, _, status = capsys.readouterr().out.partition('.SH "EXIT STATUS"\n')
    listed = re.findall(r"^\.B (\d+)$", status, re.MULTILINE)
    assert listed == [str(code.value) for code in ExitCode]
    assert re.findall(r"^\| `(\d+)` \| ", README.read_text(), re.MULTILINE) == listed


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_man_page_is_one_without_a_complaint(capsys: pytest.CaptureFixture[str]) -> None:
    run(["help", "--man"])
    page = capsys.readouterr().out
    rendered = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-k"],
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert rendered.stderr == ""
    assert "Go through the bucket once" in rendered.stdout


def odd() -> None:
    """Do it.

    .so /etc/passwd
    'tis a backslash: \\\\n, and a-hyphen.
    """


def test_nothing_in_the_help_becomes_a_command_of_roff() -> None:
    page = man_page("p", "does it", [Verb("odd", f"{__name__}:odd", "Do it.")])
    assert "\n\\&.so /etc/passwd\n" in page
    assert "\n\\&'tis a backslash: \\e\\en, and a\\-hyphen.\n" in page


@pytest.mark.parametrize("name", sorted(topics()))
def test_a_topic_is_the_text_that_the_web_shows(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["help", name]) == ExitCode.OK
    assert capsys.readouterr().out == text_of(name)


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", ["repair", "sending", "kubernetes"])
def test_a_topic_fits_the_terminal(
    name: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(["help", name]) == ExitCode.OK
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= columns
    assert topics()[name].split()[0] in shown
    assert "`" not in shown


def test_topics_are_listed_with_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "topics"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert all(
        re.search(rf"^  {name} +{re.escape(t)}$", out, re.MULTILINE) for name, t in topics().items()
    )
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("words", [["sieve", "more"], ["../verbs"], ["what"]])
def test_what_is_no_topic_is_no_file_either(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["help", *words]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert "No such command" in err or "There is no command" in err


@pytest.mark.parametrize(("typed", "meant"), [("monitor", "monitoring"), ("Folder", "folders")])
def test_a_topic_that_was_nearly_typed_is_named(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["help", typed]) == ExitCode.USAGE
    assert f"postamt-sync help {meant}?" in capsys.readouterr().err
