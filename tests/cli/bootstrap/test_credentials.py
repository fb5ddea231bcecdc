"""Keys of users that are each for one mailbox: shown, replaced, rotated, retired by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from tests.doubles.account import Account
from tests.support.household import configuration

pytestmark = pytest.mark.slow

CONFIG = configuration(
    Path("/srv"),
    '[stack]\ndomains = ["example.com"]\nsmtp_per_mailbox = {own}\n',
    bucket="postamt-123456789012-eu-west-1-an",
    people=["anna", "rest", "dora"],
    addresses={"rest": [], "dora": ["example.com"]},
    default="rest",
)


class Person:
    def __init__(self, base: Path, aws: Account, capsys: pytest.CaptureFixture[str]) -> None:
        self.base, self.aws, self.capsys = base, aws, capsys
        self.config = base / "config.toml"
        self.shares(False)

    def shares(self, own: bool) -> None:
        self.config.write_text(CONFIG.format(own=str(own).lower()))

    def types(self, verb: str, *argv: str, code: ExitCode = ExitCode.OK) -> str:
        where = ("--config", str(self.config), "--out", str(self.base / "keys"))
        self.capsys.readouterr()
        done = run(["bootstrap", *verb.split(), *argv, *where])
        said = self.capsys.readouterr()
        assert done == code, said.err
        return " ".join((said.out + said.err).split())

    def keys(self, user: str) -> list[str]:
        found = self.aws.client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
        return [key["AccessKeyId"] for key in found]


@pytest.fixture
def person(tmp_path: Path, aws: Account, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(tmp_path, aws, capsys)


def test_from_apply_to_retire(person: Person) -> None:
    assert "Mail clients send with the settings in" in person.types("apply", "--yes")
    person.shares(True)
    said = person.types("apply", "--yes")
    assert "anna sends with the settings in" in said
    assert "rest sends" not in said  # what dora does not get is nothing

    shown = person.types("credentials show", "--password")
    assert "Sends mail postamt-smtp-anna, for anna server email-smtp" in shown
    assert "Sends mail postamt-smtp-dora, for dora server email-smtp" in shown
    assert "not known here" not in shown
    assert "dora" not in person.types("credentials show", "--mailbox", "anna")

    (before,) = person.keys("postamt-smtp-anna")
    said = person.types("credentials replace smtp", "--mailbox", "anna", "--yes")
    (after,) = person.keys("postamt-smtp-anna")
    assert after != before
    assert "smtp-credentials-anna --mailbox anna" in said

    person.types("credentials rotate smtp", "--mailbox", "dora")
    assert len(person.keys("postamt-smtp-dora")) == 2
    person.types("credentials rotate smtp", "--mailbox", "dora", "--finish", "--yes")
    assert len(person.keys("postamt-smtp-dora")) == 1

    users = person.aws.client("iam").list_users()["Users"]
    assert "postamt-smtp" in {user["UserName"] for user in users}
    assert "postamt-smtp: delete, with its keys" in person.types("credentials retire", "--yes")
    users = person.aws.client("iam").list_users()["Users"]
    assert {user["UserName"] for user in users} == {
        "postamt-sync",
        "postamt-smtp-anna",
        "postamt-smtp-dora",
    }
    assert "Nothing to delete." in person.types("credentials retire", "--yes")


@pytest.mark.parametrize(
    ("own", "argv", "said"),
    [
        (True, ("rotate", "smtp"), "Name one with --mailbox: anna, dora"),
        (True, ("replace", "smtp", "--mailbox", "zoe"), "zoe"),
        (True, ("replace", "smtp", "--mailbox", "rest"), "no address to send from"),
        (True, ("rotate", "sync", "--mailbox", "anna"), "one key for all mailboxes"),
        (False, ("rotate", "smtp", "--mailbox", "anna"), "All mailboxes share one SMTP user"),
        (False, ("show", "--mailbox", "anna"), "All mailboxes share one SMTP user"),
    ],
)
def test_which_key_is_meant_must_be_clear(
    person: Person, own: bool, argv: tuple[str, ...], said: str
) -> None:
    person.shares(own)
    verb, *rest = argv
    assert said in person.types(f"credentials {verb}", *rest, code=ExitCode.USAGE)


def test_without_its_credentials_no_user_is_tried(person: Person) -> None:
    person.shares(True)
    person.types("apply", "--yes")
    for path in (person.base / "keys").glob("smtp-*"):
        path.unlink()
    said = person.types("verify", "--offline", "--send", code=ExitCode.FINDINGS)
    assert "warn sending anna Not tried: the credentials of postamt-smtp-anna are not in" in said
    assert "warn sending dora Not tried" in said
    assert "--out" in said
