"""`postamt-sync setup`, typed at a terminal against the emulated AWS and a name server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from postamt_sync.setup.bundle import Bundle, open_bundle, read_bundle
from tests.cli.typist import Typist, environment_of
from tests.doubles.account import Account
from tests.doubles.dns_thread import ThreadedNameServer, name_server
from tests.doubles.moto import Moto, moto

pytestmark = pytest.mark.timeout(400)
PASSPHRASE = re.compile(r"^\s+((?:[a-z2-9]{5}-){5}[a-z2-9]{4})\s*$", re.MULTILINE)
KEPT = Path(".config/postamt-sync/setup")
ALL = ("--domain", "example.org", "--person", "Ann", "--person", "ben@example.org")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Moto]:
    with moto() as running:
        yield running


@pytest.fixture
def cloud(emulator: Moto) -> Moto:
    emulator.reset()
    return emulator


@pytest.fixture
def names() -> Iterator[ThreadedNameServer]:
    with name_server() as serving:
        yield serving


def put_into_dns(names: ThreadedNameServer, cloud: Moto, home: Path) -> None:
    """Do what a person does at the DNS host: enter every record."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "postamt_sync", "bootstrap", "dns", "--format", "json"),
            *("--offline", "--config", str(home / KEPT / "config.toml")),
        ],
        env=environment_of(cloud, home),
        capture_output=True,
        text=True,
        check=True,
    )
    for record in json.loads(done.stdout):
        names.add(record["name"], record["type"], record["value"])


def too_wide(typist: Typist) -> list[str]:
    """Return the lines that the terminal had to break, but those that have to stay in one piece."""
    wide = [line for line in typist.written if len(line) > typist.columns]
    return [line for line in wide if not re.search('/|_domainkey|"v=', line)]


@pytest.mark.slow
def test_from_an_empty_account_to_records_that_are_ticked_off(
    cloud: Moto, names: ThreadedNameServer, tmp_path: Path
) -> None:
    typist = Typist(
        f"postamt-sync setup --resolver {names.address}", tmp_path, environment_of(cloud, tmp_path)
    )
    typist.answers("Domain.*:", "localhost")
    assert "As in: example.org" in typist.answers("Domain.*:", "https://Example.ORG./x")
    assert "= example.org" in typist.answers("People.*:", "ann@gmail.com")
    assert "not the domain" in typist.answers("People.*:", "Jörg Müller, ann@example.org")
    assert "joerg.mueller@example.org, ann@example.org" in typist.answers("Region.*:", "mars")
    assert "receives no mail in mars" in typist.answers(r"Region \[eu-west-1\].*:", "")
    typist.answers("Name, or no.*:", "http://home.example.org")
    assert "must come encrypted" in typist.answers("Name, or no.*:", "")
    for question in ("This machine", "Dovecot", r"Name \[mail.example.org\]", "Path, or none"):
        typist.answers(f"{question}.*:", "")
    shown = typist.answers("Make all this.*:", "c")
    assert "0.83 USD a month" in shown
    assert "+ bucket postamt-123456789012-eu-west-1-an" in shown
    assert "AWS is asked for it" in shown
    typist.answers(r"Domain \[example.org\].*:", "")
    typist.answers(r"People \[joerg.mueller, ann\].*:", "Jörg, Ann")
    for question in ("Region", "Name, or no", "This machine", "Dovecot", "Name", "Path"):
        typist.answers(f"{question}.*:", "")
    typist.answers("Make all this.*:", "y")
    shown = typist.sees("Waiting for 7 records")
    assert "ok   " not in shown
    put_into_dns(names, cloud, tmp_path)
    typist.answers("see it arrive.*:", "n")
    assert typist.ends() == ExitCode.OK

    assert typist.said.count("ok   ") == 12
    assert too_wide(typist) == []
    settings = load(tmp_path / KEPT / "config.toml", {})
    assert [mailbox.name for mailbox in settings.mailboxes] == ["joerg", "ann"]
    assert settings.home.imap_host == "mail.example.org"
    passphrase = PASSPHRASE.search("\n".join(typist.lines))
    assert passphrase
    found: Bundle = open_bundle(read_bundle(tmp_path / "postamt-sync.bundle"), passphrase[1])
    assert set(found.files) == {"config.toml", "credentials", "smtp-credentials"}
    secret = re.search("^aws_secret_access_key = (.*)$", found.files["credentials"], re.MULTILINE)
    assert secret
    assert secret[1] not in typist.said
    waiting = cloud.client("s3").list_objects_v2(Bucket=settings.bucket.name)["Contents"]
    twin = found.first_key.replace("incoming/", "recent/")
    assert {found.first_key, twin} < {each["Key"] for each in waiting}


@pytest.mark.slow
def test_stopped_and_killed_anywhere_it_goes_on_where_it_was(
    cloud: Moto, names: ThreadedNameServer, tmp_path: Path
) -> None:
    environment = environment_of(cloud, tmp_path, LC_ALL="C", NO_COLOR="1")
    command = f"postamt-sync setup --no-port --elsewhere --resolver {names.address}"

    def sits_down() -> Typist:
        return Typist(command, tmp_path, environment, columns=60)

    first = sits_down()
    first.answers("Domain.*:", "bücher.de")
    first.sees("People.*:")
    first.presses("d")
    assert first.ends() == ExitCode.INTERRUPTED
    assert "Go on at any time with: postamt-sync setup" in " ".join(first.said.split())

    second = sits_down()
    assert "xn--bcher-kva.de" in second.answers("People.*:", "ann")
    second.answers("Region.*:", "Frankfurt")
    for question in ("Dovecot", "Name", "Path, or none"):
        second.answers(f"{question}.*:", "")
    second.answers("Make all this.*:", "y")
    second.sees(r" 9/\d+ ")
    second.kills()

    third = sits_down()
    assert "+ bucket" not in third.answers("Make all this.*:", "y")
    third.sees("Waiting for 7 records")
    third.presses("c")
    assert third.ends() == ExitCode.INTERRUPTED

    fourth = sits_down()
    assert "All of this is there already." in fourth.sees("Waiting for 7 records")
    assert PASSPHRASE.search("\n".join(third.lines))
    assert not PASSPHRASE.search("\n".join(fourth.lines))
    fourth.presses("c")
    fourth.ends()
    for typist in (first, second, third, fourth):
        assert "\x1b[3" not in typist.said.replace("\x1b[3J", ""), "a colour"
        assert too_wide(typist) == []
    users = cloud.client("iam").list_users()["Users"]
    keys = [cloud.client("iam").list_access_keys(UserName=u["UserName"]) for u in users]
    assert [len(each["AccessKeyMetadata"]) for each in keys] == [1, 1]


@pytest.mark.slow
def test_without_credentials_it_says_how_to_get_them_and_goes_on(
    cloud: Moto, tmp_path: Path
) -> None:
    environment = environment_of(cloud, tmp_path)
    keys = {name: environment.pop(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    typist = Typist(f"postamt-sync setup {' '.join(ALL)} --no-port", tmp_path, environment)
    for question in ("Region", "This machine", "Dovecot", "Name", "Path, or none"):
        typist.answers(f"{question}.*:", "")
    shown = typist.answers("Paste:", "nonsense")
    assert "https://console.aws.amazon.com/cloudshell" in shown
    assert "aws configure export-credentials --format env" in shown
    for name, value in keys.items():
        typist.answers("Paste:", f"export {name}={value}")
    typist.answers("Paste:", "export AWS_SESSION_TOKEN=abc/+=")
    typist.answers("Make all this.*:", "n")
    assert typist.ends() == ExitCode.INTERRUPTED
    assert cloud.client("s3").list_buckets()["Buckets"] == []
    assert "testing" not in (tmp_path / KEPT / "answers.json").read_text()


@pytest.fixture
def alone(account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a home that no terminal belongs to, with an empty account."""
    for name, value in account.emulator.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_terminal_it_names_what_is_missing(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["setup"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    for flag in ("--domain", "--person", "--region", "--no-port", "--here", "--dovecot"):
        assert flag in said
    assert run(["setup", *ALL, "--region", "eu-west-1", "--no-port", "--here"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "--dovecot or --other-server, --imap-host, --certificate are missing" in said
    assert run(["setup", *ALL[:2], "--yes"]) == ExitCode.USAGE
    assert "--person is missing" in capsys.readouterr().err
    assert not (alone / "postamt-sync.bundle").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--domain", "localhost"), "--domain localhost: A domain must name a whole domain"),
        ((*ALL[:2], "--person", "x@y.org"), "not the domain"),
        (("--region", "mars"), "receives no mail in mars"),
        (("--public-url", "http://x.org"), "must come encrypted"),
        (("--public-url", "x.org", "--no-port"), "exclude each other"),
        (("--name", "ab"), "3 to 30"),
        (("--resolver", "x"), "address of a resolver"),
        (("--certificate", "x.pem"), "whole path"),
        (("--region", ""), "Type a region"),
        (("--imap-host", ""), "Type the server's name"),
    ],
)
def test_a_wrong_flag_is_told_with_what_would_be_right(
    alone: Path, capsys: pytest.CaptureFixture[str], typed: tuple[str, ...], said: str
) -> None:
    assert run(["setup", *typed]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_every_answer_can_be_a_flag(
    alone: Path,
    account: Account,
    names: ThreadedNameServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    route53 = account.emulator.client("route53")
    zone = route53.create_hosted_zone(Name="example.org", CallerReference="1")["HostedZone"]["Id"]
    line = [
        *("setup", *ALL, "--region", "eu-west-1", "--public-url", "home.example.org"),
        *("--elsewhere", "--other-server", "--name", "letters", "--bundle", "b", "--yes"),
        *("--no-production-access", "--resolver", names.address),
    ]
    assert run(line) == ExitCode.OK
    said = capsys.readouterr().out
    assert "..   MX    example.org" in said
    made = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert {"MX", "CNAME", "TXT"} <= {record["Type"] for record in made}
    settings = load(alone / KEPT / "config.toml", {})
    assert settings.stack.name == "letters"
    assert settings.webhook is not None
    assert settings.webhook.public_url == "https://home.example.org/sns"
    assert settings.home.imap_host == ""
    passphrase = PASSPHRASE.search(said)
    assert passphrase
    assert open_bundle(read_bundle(alone / "b"), passphrase[1]).dovecot is False
    assert run(line) == ExitCode.OK
    assert "All of this is there already." in capsys.readouterr().out


def test_a_name_of_its_own_is_kept_and_what_is_in_the_way_says_how_setup_is_typed(
    alone: Path, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.client("sns").create_topic(Name="letters")
    line = ["setup", *ALL, "--region", "eu-west-1", "--no-port", "--elsewhere", "--other-server"]
    for more in (["--name", "letters"], []):
        assert run([*line, *more, "--yes"]) == ExitCode.CONFIGURATION
        said = capsys.readouterr()
        assert "! topic letters" in said.out
        assert "postamt-sync setup --position first" in said.out
    kept = load(alone / KEPT / "config.toml", {})
    assert kept.stack.name == "letters"
    assert run([*line, "--position", "nowhere"]) == ExitCode.USAGE


def test_another_account_is_not_taken_for_the_first(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = alone / KEPT / "answers.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"account": "999988887777"}))
    assert run(["setup", *ALL, "--yes"]) == ExitCode.CONFIGURATION
    assert "setup began in 999988887777" in capsys.readouterr().err
