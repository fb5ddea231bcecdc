"""`seal check` and `seal prove`, as a person types them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from moto import mock_aws

from postamt_sync.cli.json_schemas import SCHEMAS
from postamt_sync.cli.main import run
from postamt_sync.seal.owner_keys import encryption_fingerprints, read_owner_key
from postamt_sync.seal.records import SealRecords
from tests.support.gpg import Gpg, has_gpg
from tests.support.household import configuration, configure

pytestmark = [pytest.mark.gpg, has_gpg]


def sealing(home: Path, *keys: str) -> str:
    """Return a configuration that seals with the keys in these files."""
    seal = f"[seal]\nkeys = {json.dumps(keys)}\n"
    return configuration(home, seal, people=("anna",), bucket="mail-of-ours")


class Typed:
    """Runs a verb in process; says how it ended and what it printed."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = run(["seal", *words, "--config", str(self.path)])
        out, err = self._capsys.readouterr()
        return code, out, " ".join(err.split())


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    own = Gpg()
    own.make("owner")
    own.make("backup")
    yield own
    own.close()


@pytest.fixture
def typed(gpg: Gpg, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Typed:
    for name in ("owner", "backup"):
        (tmp_path / f"{name}.asc").write_bytes(gpg.public(name))
    configure(tmp_path, sealing(tmp_path, "owner.asc", "backup.asc"))
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    return Typed(tmp_path / "config.toml", capsys)


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[SealRecords]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        client.create_table(
            TableName="postamt-seal",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield SealRecords(client, "postamt-seal")


def fingerprints(gpg: Gpg, *names: str) -> tuple[str, ...]:
    return encryption_fingerprints(read_owner_key(gpg.public(name)) for name in names)


def test_check_names_keys_subkeys_and_ends(typed: Typed, gpg: Gpg) -> None:
    code, out, _ = typed("check")
    assert code == 0
    for fingerprint in (gpg.fingerprint("owner"), *fingerprints(gpg, "owner", "backup")):
        assert fingerprint in out
    assert "owner <owner@example.com>" in out
    assert "One key" not in out
    code, out, _ = typed("check", "--json")
    assert [key["fingerprint"] for key in json.loads(out)["keys"]] == [
        gpg.fingerprint("owner"),
        gpg.fingerprint("backup"),
    ]
    jsonschema.validate(json.loads(out), SCHEMAS["seal check"])


def test_check_refuses_a_secret_key_and_names_the_file(typed: Typed, gpg: Gpg) -> None:
    (typed.path.parent / "backup.asc").write_bytes(gpg.secret("backup"))
    code, out, _ = typed("check")
    assert code == 3
    assert "backup.asc: refused. It holds a secret key" in out
    assert gpg.fingerprint("owner") in out
    code, _, err = typed("prove")
    assert code == 78
    assert "secret key" in err


def test_without_keys_there_is_nothing_to_check(typed: Typed) -> None:
    typed.path.write_text(sealing(typed.path.parent))
    for verb in ("check", "prove"):
        code, _, err = typed(verb)
        assert code == 64
        assert "names no keys" in err


def test_prove_opens_on_the_spot_what_gpg_here_can_open(
    typed: Typed, gpg: Gpg, records: SealRecords
) -> None:
    assert not records.is_proved(fingerprints(gpg, "owner", "backup"))
    code, out, _ = typed("prove")
    assert code == 0
    assert out.count("opened by gpg on this machine") == 2
    assert records.is_proved(fingerprints(gpg, "backup", "owner"))
    assert not records.is_proved(fingerprints(gpg, "owner")), "a proof is for just these keys"


def test_prove_without_the_secret_key_proves_nothing(
    typed: Typed, gpg: Gpg, records: SealRecords, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(tmp_path))
    tmp_path.chmod(0o700)
    code, _, err = typed("prove")
    assert code == 3
    assert "--write" in err
    assert not records.is_proved(fingerprints(gpg, "owner", "backup"))


class Person:
    """Sits at a terminal, and opens what is shown with their own gpg."""

    def __init__(self, gpg: Gpg, capsys: Any, slips: int) -> None:
        self._gpg, self._capsys, self._slips = gpg, capsys, slips
        self.shown = ""

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        new = self._capsys.readouterr().out
        self.shown += new
        if self._slips:
            self._slips -= 1
            return "no idea\n"
        message = self.shown[self.shown.rindex("-----BEGIN PGP MESSAGE") :]
        opened = self._gpg.open(message.partition("The word in it")[0].encode()).decode()
        return f"  {opened.strip().splitlines()[-1].upper()} \n"


@pytest.mark.parametrize("slips", [0, 2, 3])
def test_prove_by_typing_back_what_was_opened_elsewhere(
    typed: Typed,
    gpg: Gpg,
    records: SealRecords,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    slips: int,
) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "empty"))
    monkeypatch.setattr("sys.stdin", Person(gpg, capsys, slips))
    code, out, err = typed("prove")
    proved = records.is_proved(fingerprints(gpg, "owner", "backup"))
    if slips < 3:
        assert (code, proved) == (0, True)
        assert "can be opened" in out
    else:
        assert (code, proved) == (3, False)
        assert gpg.fingerprint("owner") in err


def test_prove_elsewhere_with_messages_and_words(
    typed: Typed, gpg: Gpg, records: SealRecords, tmp_path: Path
) -> None:
    place = tmp_path / "my stick"
    code, out, _ = typed("prove", "--write", str(place))
    assert code == 0
    command = out.rpartition("postamt-sync ")[2]
    assert shlex.split(command)[:4] == ["seal", "prove", "--from", str(place)]
    words = []
    for name in ("backup", "owner"):
        message = (place / f"canary-{gpg.fingerprint(name)}.asc").read_bytes()
        words.append(re.findall(r"[a-z0-9]{5}(?:-[a-z0-9]{5}){3}", gpg.open(message).decode())[0])
    assert not any(word in (place / "canaries.json").read_text() for word in words)
    wrong = "aaaaa-bbbbb-ccccc-ddddd"
    for given in ([words[0]], [words[0], words[0]], [words[0], wrong]):
        code, _, err = typed("prove", "--from", str(place), *given)
        assert code == 3
        assert gpg.fingerprint("owner") in err
        assert not records.is_proved(fingerprints(gpg, "owner", "backup"))
    code, _, _ = typed("prove", "--from", str(place), words[0].upper(), words[1])
    assert code == 0
    assert records.is_proved(fingerprints(gpg, "owner", "backup"))


def test_prove_with_messages_of_other_keys(typed: Typed, gpg: Gpg, tmp_path: Path) -> None:
    code, _, err = typed("prove", "--from", str(tmp_path), "a")
    assert code == 64
    assert "no canaries" in err
    typed("prove", "--write", str(tmp_path))
    gpg.make("third")
    (tmp_path / "owner.asc").write_bytes(gpg.public("third"))
    code, _, err = typed("prove", "--from", str(tmp_path), "a")
    assert code == 64
    assert gpg.fingerprint("third") in err


@pytest.mark.parametrize("words", [["--write", "a", "--from", "b"], ["word"]])
def test_options_that_do_not_go_together(typed: Typed, words: list[str]) -> None:
    code, _, err = typed("prove", *words)
    assert code == 64
    assert "Hint" in err
