"""Every output of `--json` is as its schema says, no more and no less; `help json` shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from postamt_sync.cli.json_schemas import ERROR, SCHEMAS, as_markdown, flag_of, schema_of
from postamt_sync.cli.main import run
from postamt_sync.cli.topics import text_of
from postamt_sync.cli.verbs import VERBS, command_of
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from postamt_sync.ledger import Ledger
from tests.doubles.account import Account
from tests.doubles.s3 import S3Double
from tests.status.pictures import name_all
from tests.status.seeded import a_good_month, everything_wrong
from tests.support.household import configuration, configure

MAIL = b"From: Bob <bob@example.org>\r\nTo: anna@example.com\r\nSubject: Tea\r\n\r\nx\r\n"


def strict(schema: Any) -> Any:
    """Return a schema that allows no key that it does not name: we have none that is not told."""
    match schema:
        case dict():
            told = {key: strict(below) for key, below in schema.items()}
            if "properties" in schema:
                told["additionalProperties"] = False
            return told
        case list():
            return [strict(each) for each in schema]
        case _:
            return schema


def with_json() -> Iterator[str]:
    """Yield every command that takes --json, or --format json."""

    def below(path: str, command: Any) -> Iterator[str]:
        context = command.make_context(path, [], resilient_parsing=True)
        told = [p.get_help_record(context) or ("", "") for p in command.get_params(context)]
        if any("--json" in option or re.search(r"[<|]json[|>]", option) for option, _ in told):
            yield path
        for name in getattr(command, "list_commands", lambda _: ())(context):
            yield from below(f"{path} {name}", command.get_command(context, name))

    for verb in VERBS:
        yield from below(verb.name, command_of(verb))


def said(capsys: pytest.CaptureFixture[str], verb: str, *more: str, config: Path) -> Any:
    """Type a command; return what it printed, which is as its schema says."""
    capsys.readouterr()
    code = run([*verb.split(), *more, *flag_of(verb).split(), "--config", str(config)])
    printed = capsys.readouterr()
    assert code < ExitCode.USAGE, printed
    value = json.loads(printed.out)
    assert value, verb
    jsonschema.Draft202012Validator(strict(SCHEMAS[verb])).validate(value)
    return value


@pytest.fixture
def home(tmp_path: Path, s3: S3Double) -> Path:
    """A household without mail, whose bucket has three mails."""
    for n in range(3):
        s3.put(f"incoming/{n}", MAIL)
    return configure(tmp_path, configuration(tmp_path, people=["anna"]))


def test_every_verb_that_has_json_has_a_schema() -> None:
    """Whoever adds one describes it in `cli/json_schemas`, and lets it be printed below."""
    assert set(with_json()) == set(SCHEMAS)


@pytest.mark.parametrize("verb", SCHEMAS)
def test_each_schema_is_one_and_tells_of_each_key(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["help", "json", *verb.split()]) == ExitCode.OK
    schema = json.loads(capsys.readouterr().out)
    assert schema == schema_of(verb)
    jsonschema.Draft202012Validator.check_schema(schema)

    def described(part: Any) -> Iterator[bool]:
        if isinstance(part, dict) and isinstance(part.get("properties"), dict):
            for below in part["properties"].values():
                yield bool(below["description"])
        for below in part.values() if isinstance(part, dict) else part:
            if isinstance(below, dict | list):
                yield from described(below)

    assert all(described(schema))


def test_what_prints_no_json_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "json", "run"]) == ExitCode.USAGE
    assert "bootstrap plan" in capsys.readouterr().err


def test_the_topic_is_made_of_the_schemas() -> None:
    """Make it again with: python -m postamt_sync.cli.json_schemas > postamt_sync/topics/json.md"""
    assert text_of("json") == as_markdown()


@pytest.mark.slow
def test_json_of_the_ledger_matches_its_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path)
    settings = load(config, {})
    ledger = Ledger.open(settings.state_dir)
    said(capsys, "status", config=config)  # of an empty one
    a_good_month(ledger, settings.state_dir)
    everything_wrong(ledger)
    name_all(ledger)
    ledger.close()
    shown = said(capsys, "status", config=config)
    assert all(shown[key] for key in ("waiting", "quarantine", "latest", "alerts", "days"))
    (first, *_) = said(capsys, "quarantine list", config=config)
    said(capsys, "quarantine show", first["mail"], config=config)
    said(capsys, "check", config=config)
    (tmp_path / "key.asc").write_text("none")
    config.write_text(config.read_text() + '[seal]\nkeys = ["key.asc"]\n')
    assert said(capsys, "seal check", config=config)["keys"][0]["refused"]


@pytest.mark.slow
def test_what_the_bucket_has_a_part_in(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "sync", "--dry-run", config=home)
    assert said(capsys, "sync", config=home)["delivered"] == 3
    found = said(capsys, "find", "tea", "--cloud", config=home)["mails"]
    assert all(mail["files"] and mail["bucket"] and mail["stations"] for mail in found)
    next(tmp_path.rglob("*.postamt,*")).unlink()
    assert said(capsys, "verify", config=home)["differences"]
    assert said(capsys, "restore", "--dry-run", config=home)["mails"]
    assert said(capsys, "restore", "--yes", config=home)["delivered"] == 1
    assert said(capsys, "rebuild", config=home)["listed"] == 3
    assert said(capsys, "doctor", config=tmp_path / "missing.toml")["findings"]


def test_what_is_built_at_aws(
    aws: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    words = ["--domain", "example.com", "--region", "eu-west-1", "--mailbox", "ann", "--no-port"]
    assert run(["bootstrap", "init", *words, "--output", str(config)]) == ExitCode.OK
    assert aws.client("sqs").create_queue(QueueName="postamt")
    capsys.readouterr()
    run(["bootstrap", "plan", "--json", "--config", str(config)])
    plan = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(strict(SCHEMAS["bootstrap plan"])).validate(plan)
    assert plan["changes"]
    assert plan["conflicts"]
    assert said(capsys, "bootstrap verify", "--offline", config=config)["findings"]
    assert said(capsys, "bootstrap cost", "--mails-per-day", "100", config=config)["items"]
    assert said(capsys, "bootstrap dns", "--offline", config=config)[0]["now"] is None


def test_what_a_mail_client_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configure(tmp_path)
    told = said(capsys, "client", "--host", "mail.example.com", config=config)
    assert all(one["reading"]["port"] == 993 for one in told)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *((f"{verb} {flag_of(verb)} --wrong", ExitCode.USAGE) for verb in SCHEMAS),
        ("client --format=json --wrong", ExitCode.USAGE),
        *(
            (f"{verb}{more} {flag_of(verb)} --config /nowhere", ExitCode.CONFIGURATION)
            for verb in SCHEMAS
            if verb not in {"bootstrap cost", "doctor"}  # a missing file is one of its findings
            for more in [{"find": " x", "quarantine show": " x"}.get(verb, "")]
        ),
        ("status --json --watch", ExitCode.USAGE),
        ("quarantine show --json", ExitCode.USAGE),
        ("find --json", ExitCode.USAGE),
    ],
)
def test_without_an_answer_there_is_one_object_that_says_why(
    words: str, code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) == code
    printed = capsys.readouterr()
    value = json.loads(printed.out)
    jsonschema.Draft202012Validator(strict(ERROR)).validate(value)
    if not words.startswith("check --json --config"):  # it says all of it in its object
        assert value["hint"]
        assert value["error"] in printed.err
    assert ("problems" in value) == (code is ExitCode.CONFIGURATION)


@pytest.mark.parametrize(
    "words", ["find -- --json", "client --format text", "client --format apple -- --format json"]
)
def test_what_asks_for_no_json_gets_none(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, dashes, rest = words.partition(" -- ")
    assert run([*first.split(), "--config", "/nowhere", *(dashes + rest).split()]) >= 64
    assert capsys.readouterr().out == ""
