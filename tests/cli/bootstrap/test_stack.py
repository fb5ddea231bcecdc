"""plan, apply, verify, credentials, production-access and destroy, as a person types them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from postamt_sync.cli.main import WIDTH, run
from postamt_sync.errors import ExitCode
from tests.doubles.account import Account

BUCKET = "postamt-123456789012-eu-west-1-an"


@pytest.fixture
def config(aws: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "config.toml"
    message = ["--domain", "example.com", "--region", "eu-west-1", "--mailbox", "ann", "--no-port"]
    assert run(["bootstrap", "init", *message, "--output", str(path)]) == ExitCode.OK
    capsys.readouterr()
    return path


def type_(config: Path, *message: str) -> int:
    where = ["--config", str(config)]
    if message[0] != "production-access":
        where += ["--out", str(config.parent / "keys")]
    return run(["bootstrap", *message, *where])


def test_plan_tells_by_its_exit_code_what_is_to_be_done(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))  # nothing is wrapped that nobody looks at
    assert type_(config, "plan") == ExitCode.CHANGES
    out = capsys.readouterr().out
    assert f"+ bucket {BUCKET}\n    create, in the account's own namespace\n" in out
    *above, last = out.splitlines()
    typed = f"--config {config} --out {config.parent / 'keys'}"
    assert last.endswith(f"changes. Make them with: postamt-sync bootstrap apply {typed}")
    assert max(len(line) for line in above if str(config.parent) not in line) <= WIDTH
    assert type_(config, "apply", "--yes") == ExitCode.OK
    assert type_(config, "plan") == ExitCode.OK
    assert capsys.readouterr().out.endswith("Nothing to do.\n")


def test_plan_as_json_is_one_object(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_(config, "plan", "--json") == ExitCode.CHANGES
    told = json.loads(capsys.readouterr().out)
    assert told["changes"][0] == {
        "resource": f"bucket {BUCKET}",
        "change": "create, in the account's own namespace",
        "calls": ["s3 create_bucket"],
    }
    assert told["conflicts"] == []


def test_what_is_in_the_way_is_told_and_nothing_is_written(
    aws: Account, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.client("sqs").create_queue(QueueName="postamt")
    assert type_(config, "plan") == ExitCode.CONFIGURATION
    assert "! queue postamt\n    one of this name is there already" in capsys.readouterr().out
    assert type_(config, "apply", "--yes") == ExitCode.CONFIGURATION
    assert "Hint: Choose another stack.name" in capsys.readouterr().err
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_nobody_is_asked_where_nobody_is(
    aws: Account, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_(config, "apply") == ExitCode.USAGE
    assert "Use --yes" in capsys.readouterr().err
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_apply_ends_with_what_is_left_and_shows_no_secret(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_(config, "apply", "--yes") == ExitCode.OK
    out = capsys.readouterr().out
    keys = config.parent / "keys"
    told = "".join(out.split())  # a long path goes over the end of a line
    for left in ("keys/credentials", "production-access", "inbound-smtp.eu-west-1", "_dmarc"):
        assert left in told
    for name in ("credentials", "smtp-credentials"):
        secret = (keys / name).read_text().strip().rpartition(" = ")[2]
        assert len(secret) > 20
        assert secret not in told
    assert sorted(path.name for path in keys.iterdir()) == ["credentials", "smtp-credentials"]


def test_the_configuration_is_held_against_the_stack(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace('table = "postamt"', 'table = "other"'))
    type_(config, "plan")
    out = " ".join(capsys.readouterr().out.split())
    assert 'index.table is "other"; the stack\'s is "postamt"' in out


def test_credentials_are_shown_without_the_password_unless_it_is_asked_for(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    type_(config, "apply", "--yes")
    capsys.readouterr()
    kept = (config.parent / "keys/smtp-credentials").read_text()
    password = kept.strip().rpartition(" = ")[2]
    assert run_credentials(config, "show") == ExitCode.OK
    out = capsys.readouterr().out
    assert "email-smtp.eu-west-1.amazonaws.com" in out
    assert password not in out
    assert run_credentials(config, "show", "--password") == ExitCode.OK
    assert password in capsys.readouterr().out


def run_credentials(config: Path, *message: str) -> int:
    keys = str(config.parent / "keys")
    where = ["--config", str(config), "--out", keys]
    return run(["bootstrap", "credentials", *message, *where])


def test_a_key_is_renewed_in_two_steps(
    aws: Account, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    type_(config, "apply", "--yes")
    iam = aws.client("iam")

    def keys() -> list[str]:
        listed = iam.list_access_keys(UserName="postamt-sync")["AccessKeyMetadata"]
        return [key["AccessKeyId"] for key in listed]

    (old,) = keys()
    assert run_credentials(config, "rotate", "sync") == ExitCode.OK
    assert len(keys()) == 2
    assert old in keys()
    assert run_credentials(config, "rotate", "sync") == ExitCode.TRY_LATER
    assert len(keys()) == 2
    assert run_credentials(config, "rotate", "sync", "--finish") == ExitCode.OK
    (new,) = keys()
    assert new != old
    assert new in (config.parent / "keys/credentials").read_text()
    assert type_(config, "plan") == ExitCode.OK
    capsys.readouterr()
    assert run_credentials(config, "rotate", "sync", "--finish") == ExitCode.OK
    assert "one key only" in capsys.readouterr().out


def test_verify_fails_with_a_remedy(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_(config, "verify", "--offline", "--json") == ExitCode.FINDINGS
    found = json.loads(capsys.readouterr().out)["findings"]
    plan = next(f for f in found if f["subject"] == f"bucket {BUCKET}")
    assert plan["outcome"] == "failure"
    typed = f"--config {config} --out {config.parent / 'keys'}"
    assert plan["remedy"] == f"Fix it with: postamt-sync bootstrap apply {typed}"


def test_the_way_out_of_the_sandbox_is_asked_for_once(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_(config, "production-access") == ExitCode.USAGE
    assert type_(config, "production-access", "--yes") == ExitCode.OK
    assert "one person under our own domain (example.com)" in " ".join(
        capsys.readouterr().out.split()
    )
    assert type_(config, "production-access", "--yes") == ExitCode.OK
    assert "The request is with AWS" in capsys.readouterr().out


def test_destroy_keeps_the_mail_unless_the_bucket_is_named(
    aws: Account, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    type_(config, "apply", "--yes")
    s3 = aws.client("s3")
    s3.put_object(Bucket=BUCKET, Key="incoming/a", Body=b"a")
    assert type_(config, "destroy", "--yes", "--delete-mail", "another") == ExitCode.USAGE
    assert type_(config, "destroy", "--yes") == ExitCode.OK
    assert s3.get_object(Bucket=BUCKET, Key="incoming/a")["Body"].read() == b"a"
    assert f"--delete-mail {BUCKET}" in capsys.readouterr().out
    assert aws.client("iam").list_users()["Users"] == []
    assert type_(config, "destroy", "--yes", "--delete-mail", BUCKET) == ExitCode.OK
    assert s3.list_buckets()["Buckets"] == []
    assert aws.client("dynamodb").list_tables()["TableNames"] == []
    capsys.readouterr()
    assert type_(config, "destroy", "--yes") == ExitCode.OK
    assert capsys.readouterr().out.endswith("Nothing to remove.\n")


def test_destroy_says_what_goes_and_what_stays(
    aws: Account, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    type_(config, "apply", "--yes")
    keys = sorted(str(path) for path in config.parent.rglob("*credentials*") if path.is_file())
    assert keys
    capsys.readouterr()
    assert type_(config, "destroy", "--yes", "--delete-mail", BUCKET) == ExitCode.OK
    out = capsys.readouterr().out
    plan, _, rest = out.partition("What stays, for you to remove")
    marks = {line[0] for line in plan.splitlines() if line[1:2] == " " and line[0] != " "}
    assert marks == {"-"}
    assert "kept" not in plan
    assert "MX of example.com" in rest
    for file in keys:
        assert file in rest


def test_where_keys_went_is_where_the_next_run_looks(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "elsewhere"
    out.mkdir()
    line = ["bootstrap", "apply", "--yes", "--config", str(config)]
    assert run([*line, "--out", str(out)]) == ExitCode.OK
    assert (out / "credentials").exists()
    capsys.readouterr()
    assert run(["bootstrap", "credentials", "show", "--config", str(config)]) == ExitCode.OK
    assert run(line) == ExitCode.OK
    assert "Nothing to do." in capsys.readouterr().out
    usual = Path(os.environ["XDG_CONFIG_HOME"], "postamt-sync")
    assert [path.suffix for path in usual.iterdir()] == [".out"]
