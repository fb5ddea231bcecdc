from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.bootstrap.key_place import KeyHints
from postamt_sync.cli.main import WIDTH, run
from postamt_sync.errors import ExitCode
from tests.support.household import configuration

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
USER, PASSWORD = "AKIAIOSFODNN7EXAMPLE", "BHousehold/house+household0123456789abcdefg="


def relay(tmp_path: Path, text: str, *argv: str) -> int:
    file = tmp_path / "smtp"
    file.write_text(text)
    where = ("--directory", str(tmp_path), "--config", str(EXAMPLE))
    return run(["dovecot", "relay", str(file), *argv, *where])


def credentials(user: str = USER, password: str = PASSWORD) -> str:
    return f"# made by bootstrap\n[smtp]\nserver = s\nusername = {user}\npassword = {password}\n"


def test_help_fits_80_columns_and_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dovecot", "relay", "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "\n  Examples:\n" in out
    assert max(map(len, out.splitlines())) <= WIDTH


def test_the_households_credentials_are_roots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert relay(tmp_path, credentials()) == ExitCode.OK
    path = tmp_path / "postamt-sync.relay.conf"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines()[1:] == [
        f"submission_relay_user = {USER}",
        f"submission_relay_password = {PASSWORD}",
    ]
    out = capsys.readouterr().out
    assert USER in out
    assert PASSWORD not in out


def test_a_mailboxs_own_are_in_a_list(tmp_path: Path) -> None:
    for user in ("AKIAFIRST00000000000", USER):
        assert relay(tmp_path, credentials(user), "--mailbox", "thomas") == ExitCode.OK
    path = tmp_path / "postamt-sync.senders"
    assert path.stat().st_mode & 0o007 == 0
    fields = f"userdb_submission_relay_user={USER} userdb_submission_relay_password={PASSWORD}"
    assert path.read_text() == f"thomas:::::::{fields}\n"
    assert not (tmp_path / "postamt-sync.relay.conf").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no section",
        "[smtp]\nusername = x\n",
        credentials(user="akia; rm"),
        credentials(password=f"{PASSWORD} x=y"),
        credentials(password="<file"),
        credentials(password=f"{PASSWORD}\n  ssl = no"),
        "[smtp]\nusername = \xff\n",
    ],
)
def test_what_holds_no_credentials_of_ses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert relay(tmp_path, text) == ExitCode.CONFIGURATION
    assert PASSWORD not in capsys.readouterr().err
    assert not (tmp_path / "postamt-sync.relay.conf").exists()


def test_a_mailbox_that_is_not_there(tmp_path: Path) -> None:
    assert relay(tmp_path, credentials(), "--mailbox", "zoe") == ExitCode.USAGE


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--directory", str(tmp_path), "--config", str(EXAMPLE))
    assert run(["dovecot", "relay", str(tmp_path / "none"), *where]) == ExitCode.CONFIGURATION
    assert "No such file" in capsys.readouterr().err


def test_a_wrong_file_is_answered_with_the_one_that_bootstrap_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(EXAMPLE.read_bytes())
    KeyHints(config).remember({USER: tmp_path / "smtp-credentials"})
    for name in ("nowhere", "config.toml"):
        typed = ["dovecot", "relay", str(tmp_path / name), "--config", str(config)]
        assert run(typed) == ExitCode.CONFIGURATION
        err = " ".join(capsys.readouterr().err.split())
        assert f"Bootstrap has written: {tmp_path}/smtp-credentials." in err


OWN = configuration(
    Path("/srv"),
    "[stack]\nsmtp_per_mailbox = {own}\n",
    people=["anna", "bruno.x"],
    addresses={"bruno.x": ["bruno@example.com"]},
)


class Household:
    """Each with a user of its own, or not; what is typed runs against one Dovecot directory."""

    def __init__(self, base: Path) -> None:
        self.keys, self.dovecot, self.config = base / "keys", base / "d", base / "config.toml"
        self.keys.mkdir()
        self.dovecot.mkdir()
        self.shares(False)
        for name, user in (("", "HOUSE"), ("-anna", "ANNA"), ("-bruno.x", "BRUNO")):
            self.have(f"smtp-credentials{name}", f"AKIA{user}0000000000")

    def have(self, name: str, user: str) -> None:
        (self.keys / name).write_text(credentials(user))

    def shares(self, own: bool) -> None:
        self.config.write_text(OWN.format(own=str(own).lower()))

    def relay(self, *argv: str) -> int:
        where = ("--directory", str(self.dovecot), "--config", str(self.config))
        return run(["dovecot", "relay", *argv, *where])

    def senders(self) -> dict[str, str]:
        path = self.dovecot / "postamt-sync.senders"
        lines = path.read_text().splitlines() if path.exists() else []
        return {line.partition(":")[0]: line.split("relay_user=AKIA")[1][:5] for line in lines}

    def relay_conf(self) -> str:
        return (self.dovecot / "postamt-sync.relay.conf").read_text()


@pytest.fixture
def home(tmp_path: Path) -> Household:
    return Household(tmp_path)


def test_a_directory_holds_the_keys_of_all_mailboxes(
    home: Household, capsys: pytest.CaptureFixture[str]
) -> None:
    home.shares(True)
    assert home.relay(str(home.keys)) == ExitCode.OK
    assert home.senders() == {"anna": "ANNA0", "bruno.x": "BRUNO"}
    assert "relay_user" not in home.relay_conf()
    assert "AKIAHOUSE" not in capsys.readouterr().out


def test_there_and_back_nobody_is_without_a_user(home: Household) -> None:
    assert home.relay(str(home.keys)) == ExitCode.OK
    assert "AKIAHOUSE" in home.relay_conf()
    assert home.senders() == {}
    home.shares(True)
    assert home.relay(str(home.keys)) == ExitCode.OK
    home.shares(False)
    assert home.relay(str(home.keys / "smtp-credentials")) == ExitCode.OK
    assert home.senders() == {"anna": "HOUSE", "bruno.x": "HOUSE"}
    assert "AKIAHOUSE" in home.relay_conf()


def test_who_is_gone_sends_no_more(home: Household) -> None:
    home.shares(True)
    assert home.relay(str(home.keys)) == ExitCode.OK
    text = home.config.read_text()
    home.config.write_text(text[: text.rindex("[[mailboxes]]")])
    assert home.relay(str(home.keys)) == ExitCode.OK
    assert home.senders() == {"anna": "ANNA0"}


def test_what_a_person_gave_a_mailbox_stays(home: Household) -> None:
    assert home.relay(str(home.keys / "smtp-credentials-anna"), "--mailbox", "anna") == ExitCode.OK
    assert home.relay(str(home.keys)) == ExitCode.OK
    assert home.senders() == {"anna": "ANNA0"}


def test_one_mailbox_of_the_directory(home: Household) -> None:
    home.shares(True)
    assert home.relay(str(home.keys), "--mailbox", "bruno.x") == ExitCode.OK
    assert home.senders() == {"bruno.x": "BRUNO"}


@pytest.mark.parametrize(
    ("name", "said"), [("smtp-credentials-bruno.x", "bruno.x could not send"), ("", "no directory")]
)
def test_before_one_is_missing_nothing_is_written(
    home: Household, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    home.shares(True)
    target = home.keys
    if name:
        (home.keys / name).unlink()
    else:
        target = home.keys / "smtp-credentials"
    assert home.relay(str(target)) in {ExitCode.CONFIGURATION, ExitCode.USAGE}
    assert said in " ".join(capsys.readouterr().err.split())
    assert list(home.dovecot.iterdir()) == []


def test_two_files_with_one_user_are_refused(
    home: Household, capsys: pytest.CaptureFixture[str]
) -> None:
    home.shares(True)
    home.have("smtp-credentials-bruno.x", "AKIAANNA0000000000")
    assert home.relay(str(home.keys)) == ExitCode.CONFIGURATION
    assert "hold the same user" in capsys.readouterr().err
    assert list(home.dovecot.iterdir()) == []
