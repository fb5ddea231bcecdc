from __future__ import annotations

import pytest

from postamt_sync.cli.bootstrap import BootstrapVerbs
from postamt_sync.cli.main import WIDTH, run
from postamt_sync.errors import ExitCode

VERBS = [verb.name for verb in BootstrapVerbs.verbs]
GROUPS = {"credentials"}


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_80_columns_and_has_examples(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert run(["bootstrap", verb, "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert f"\n  Examples:\n    postamt-sync bootstrap {verb}" in out
    assert max(map(len, out.splitlines())) <= WIDTH
    assert "..." not in out.partition("\nCommands:\n")[2], "a summary is cut off"
    if verb not in GROUPS:
        assert "--debug" in out
        assert ("--config PATH" in out) == (verb != "init")


def test_without_a_verb_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bootstrap"]) == ExitCode.USAGE
    out = capsys.readouterr().out
    assert all(f"\n  {verb} " in out for verb in VERBS)
