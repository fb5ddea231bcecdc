"""`bootstrap reindex`, as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from tests.doubles.account import Account
from tests.doubles.notices import stored

pytestmark = pytest.mark.slow

BUCKET = "postamt-123456789012-eu-west-1-an"


@pytest.fixture
def config(aws: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "config.toml"
    words = ["--domain", "example.com", "--region", "eu-west-1", "--mailbox", "ann", "--no-port"]
    assert run(["bootstrap", "init", *words, "--output", str(path)]) == ExitCode.OK
    capsys.readouterr()
    return path


def test_it_says_what_it_costs_asks_and_lists_what_is_there(
    aws: Account, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--config", str(config)]
    assert run(["bootstrap", "reindex", *where]) == ExitCode.CONFIGURATION
    told = capsys.readouterr().err
    assert "was not handed over yet" in told
    assert "bootstrap apply" in told

    apply = ["bootstrap", "apply", "--yes", "--out", str(config.parent / "keys"), *where]
    assert run(apply) == ExitCode.OK
    assert run(["bootstrap", "reindex", *where]) == ExitCode.OK
    assert "Nothing to do: 0 mails listed already." in capsys.readouterr().out

    for name, kind in (("one", "STANDARD"), ("two", "GLACIER_IR")):
        body = stored(name, recipient="ann@example.com")
        aws.client("s3").put_object(
            Bucket=BUCKET, Key=f"incoming/{name}", Body=body, StorageClass=kind
        )
    changed = config.read_text().replace('"ann"', '"bea"')
    config.write_text(changed)
    assert run(["bootstrap", "reindex", *where]) == ExitCode.CONFIGURATION
    assert "has changed since" in capsys.readouterr().err
    assert run(["bootstrap", "plan", *apply[3:]]) == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert "was changed, hand over again" in out
    assert f"postamt-sync bootstrap reindex --config {config}" in " ".join(out.split())
    assert run(apply) == ExitCode.OK
    capsys.readouterr()

    assert run(["bootstrap", "reindex", *where]) == ExitCode.USAGE
    asked = capsys.readouterr()
    assert "Use --yes" in asked.err
    told = " ".join(asked.out.split())
    assert "To be listed: 2 of 2 mails. That takes 2 GETs of up to 16 KB" in told
    assert "less than 0.01 USD" in told
    assert "1 mail of them lies in IA or Glacier IR" in told

    assert run(["bootstrap", "reindex", "--yes", *where]) == ExitCode.OK
    assert capsys.readouterr().out.endswith("Done: 2 mails listed.\n")
    lines = aws.client("dynamodb").scan(TableName="postamt-lists")["Items"]
    assert {item["list"]["S"] for item in lines} == {"#routes", "bea#inbox"}
    assert run(["bootstrap", "reindex", *where]) == ExitCode.OK
    assert capsys.readouterr().out.endswith("Nothing to do: 2 mails listed already.\n")
    assert run(["bootstrap", "plan", *apply[3:]]) == ExitCode.OK
    assert "reindex" not in capsys.readouterr().out
