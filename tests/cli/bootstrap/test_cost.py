from __future__ import annotations

import json
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from tests.support.household import configuration

CONFIGURATION = configuration(Path("/srv"), "[poll]\ninterval = 3600\n", people=["anna"])


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert run(["bootstrap", "cost", *argv]) == ExitCode.OK
    return capsys.readouterr().out


def test_it_fits_80_columns_and_ends_in_a_sum(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = said(
        capsys, "--mails-per-day", "99999", "--mail-kb", "999", "--years", "99",
        "--sent-per-day", "9999",
    )  # fmt: skip
    assert max(map(len, out.splitlines())) <= 80
    (total,) = [line.split()[-1] for line in out.splitlines() if line.startswith("Month")]
    asked = ["--mails-per-day", "99999", "--mail-kb", "999", "--years", "99", "--json"]
    usd = json.loads(said(capsys, *asked, "--sent-per-day", "9999"))["usd"]
    assert total == f"{usd:.2f}"


def test_doubtful_prices_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "--mails-per-day", "100")
    (chunks,) = [line for line in out.splitlines() if "data received" in line and "chunks" in line]
    assert chunks.split()[-1] == "~0.27"
    (mails,) = [line for line in out.splitlines() if "mail received" in line]
    assert mails.split()[-1] == "0.30"
    assert "~ This price" in out


def test_the_configuration_says_how_mail_is_looked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIGURATION)
    asked = ["--mails-per-day", "1", "--json"]
    bill = json.loads(said(capsys, *asked, "--config", str(path)))
    lines = {f"{i['service']}, {i['what']}": i for i in bill["items"]}
    assert lines["S3, LIST, poll, all"]["quantity"] == pytest.approx(30.4375 * 24)
    assert "SNS, to the webhook" not in lines
    assert bill["spared"] == []


@pytest.mark.parametrize(
    "argv", [[], ["--mails-per-day", "-1"], ["--mails-per-day", "nan"], ["--mails-per-day", "inf"]]
)
def test_what_is_no_number_of_mails_is_refused(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert run(["bootstrap", "cost", *argv]) == ExitCode.USAGE
    assert "Hint:" in capsys.readouterr().err
