from __future__ import annotations

import grp
import io
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import bcrypt
import pytest

from postamt_sync.cli.main import WIDTH, run
from postamt_sync.errors import ExitCode
from postamt_sync.host.dovecot.description import installed_version
from postamt_sync.host.dovecot.managed_files import READERS, alone

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
PASSWORD = "open sesame"
PROMPTS = (b"New password of thomas: ", b"Once more: ")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "dovecot"
    path.mkdir()
    return path


def dovecot(directory: Path, *argv: str) -> int:
    return run(["dovecot", *argv, "--config", str(EXAMPLE), "--directory", str(directory)])


def write(directory: Path, *argv: str) -> int:
    return dovecot(directory, "--version", "2.4", "--write", *argv)


def entry(directory: Path) -> str:
    (line,) = (directory / "postamt-sync.passwords").read_text().splitlines()
    return line


def matches(directory: Path, password: str) -> bool:
    hashed = re.fullmatch(r"thomas:\{BLF-CRYPT\}(\$2b\$10\$.{53})::::::", entry(directory))
    assert hashed
    return bcrypt.checkpw(password.encode(), hashed[1].encode())


@pytest.mark.parametrize("argv", [["dovecot", "user"], *(["dovecot", "user", v] for v in "ap")])
def test_help_fits_80_columns_and_has_examples(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    argv = [{"a": "add", "p": "passwd"}.get(word, word) for word in argv]
    assert run([*argv, "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "\n  Examples:\n" in out
    assert max(map(len, out.splitlines())) <= WIDTH


class TestConfiguration:
    def test_it_is_printed_as_it_would_be_written(
        self, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert dovecot(directory, "--version", "2.4") == ExitCode.OK
        printed = capsys.readouterr().out
        assert list(directory.iterdir()) == []
        write(directory)
        for name in ("dovecot.conf", "postamt-sync.mailboxes"):
            assert (directory / name).read_text() in printed

    def test_the_version_is_the_installed_ones(
        self, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code = dovecot(directory)
        captured = capsys.readouterr()
        if version := installed_version():
            assert f"# Dovecot {version} for the mailboxes" in captured.out
        else:
            assert code == ExitCode.USAGE
            assert "--version 2.4" in captured.err

    def test_a_version_that_we_do_not_speak(self, directory: Path) -> None:
        assert dovecot(directory, "--version", "2.2") == ExitCode.USAGE

    def test_only_dovecot_may_read_the_secret_files(self, directory: Path) -> None:
        assert write(directory) == ExitCode.OK
        modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
        secret = 0o640 if os.geteuid() == 0 and group_of_dovecot() else 0o600
        assert modes == {
            "dovecot.conf": 0o644,
            "postamt-sync.mailboxes": 0o644,
            "postamt-sync.passwords": secret,
            "postamt-sync.senders": secret,
        }

    @pytest.mark.slow
    def test_it_says_what_is_next(
        self, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(directory)
        assert re.search(r"dovecot user add --config \S+ thomas\n", capsys.readouterr().out)
        dovecot(directory, "user", "add", "thomas", "--generate")
        capsys.readouterr()
        write(directory)
        assert "user add" not in capsys.readouterr().out

    @pytest.mark.slow
    def test_a_second_write_changes_nothing(
        self, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(directory)
        dovecot(directory, "user", "add", "thomas", "--generate")
        before = {path: (path.read_bytes(), path.stat().st_ino) for path in directory.iterdir()}
        capsys.readouterr()
        assert write(directory) == ExitCode.OK
        assert capsys.readouterr().out.count("is up to date.") == 2
        assert before == {p: (p.read_bytes(), p.stat().st_ino) for p in directory.iterdir()}

    def test_what_only_we_have_written_is_replaced(self, directory: Path) -> None:
        write(directory)
        assert write(directory, "--submission") == ExitCode.OK
        assert "submission_relay_host" in (directory / "dovecot.conf").read_text()
        assert len(list(directory.iterdir())) == 4

    @pytest.mark.parametrize("name", ["dovecot.conf", "postamt-sync.mailboxes"])
    def test_an_edited_file_is_not_overwritten(
        self, directory: Path, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        write(directory)
        path = directory / name
        path.write_text(edited := path.read_text() + "# mine\n")
        assert write(directory, "--submission") == ExitCode.USAGE
        assert str(path) in capsys.readouterr().err
        assert path.read_text() == edited
        conf = (directory / "dovecot.conf").read_text()
        assert "submission_relay_host" not in conf  # all or nothing
        assert write(directory, "--submission", "--force") == ExitCode.OK
        aside = directory / f"{name}.before-1"
        assert f"{path} was kept as {aside}" in capsys.readouterr().out
        assert aside.read_text() == edited
        assert "# mine" not in path.read_text()

    def test_a_distributions_own_file_is_not_overwritten(self, directory: Path) -> None:
        (directory / "dovecot.conf").write_text("!include conf.d/*.conf\n")
        (directory / "dovecot.conf.before-1").write_text("older\n")
        assert write(directory) == ExitCode.USAGE
        assert write(directory, "--force") == ExitCode.OK
        kept = (directory / "dovecot.conf.before-2").read_text()
        assert kept == "!include conf.d/*.conf\n"
        assert (directory / "dovecot.conf.before-1").read_text() == "older\n"

    def test_an_edited_seal_is_an_edit(self, directory: Path) -> None:
        write(directory)
        conf = directory / "dovecot.conf"
        conf.write_text(conf.read_text().replace("edit: ", "edit: 0", 1))
        assert write(directory, "--submission") == ExitCode.USAGE

    def test_a_directory_that_is_not_there(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert write(tmp_path / "none") == ExitCode.CONFIGURATION
        assert f"no directory {tmp_path / 'none'}.\n" in capsys.readouterr().err


@pytest.mark.slow
class TestUser:
    def test_the_password_comes_from_a_pipe(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\r\nmore\n"))
        assert dovecot(directory, "user", "add", "thomas") == ExitCode.OK
        assert matches(directory, PASSWORD)
        captured = capsys.readouterr()
        assert PASSWORD not in captured.out + captured.err

    def test_one_is_made_up_and_shown_once(
        self, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert dovecot(directory, "user", "add", "thomas", "--generate") == ExitCode.OK
        first = capsys.readouterr().out.split()[-1]
        assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", first)
        assert matches(directory, first)
        dovecot(directory, "user", "passwd", "thomas", "--generate")
        second = capsys.readouterr().out.split()[-1]
        assert matches(directory, second)
        assert not matches(directory, first)

    def test_one_password_is_hashed_differently_each_time(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entries = set()
        for verb in ("add", "passwd"):
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
            dovecot(directory, "user", verb, "thomas")
            entries.add(entry(directory))
        assert len(entries) == 2

    def test_a_password_is_taken_in_every_form_of_unicode(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = directory / "postamt-sync.passwords"
        path.write_text("zoe:{PLAIN}y\n")
        for typed, ends in (
            ("M\u00fcllerin", ["", "/NFD"]),
            ("Mu\u0308llerin", ["", "/NFC"]),
            ("\u212bngstro\u0308m", ["", "/NFC", "/NFD"]),
            (PASSWORD, [""]),
        ):
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
            verb = "passwd" if "thomas" in path.read_text() else "add"
            assert dovecot(directory, "user", verb, "thomas") == ExitCode.OK
            lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
            assert sorted(lines) == sorted(["zoe", *(f"thomas{end}" for end in ends)])
            for end in ends:
                form = unicodedata.normalize(end[1:], typed) if end else typed
                found = re.fullmatch(r"\{BLF-CRYPT\}(.{60})::::::", lines[f"thomas{end}"])
                assert found
                assert bcrypt.checkpw(form.encode(), found[1].encode())

    @pytest.mark.parametrize(
        "password",
        [
            *("short", "x" * 72, "x" * 73, "\u00e4" * 37, "with \x07 bell in it"),
            "\u00e4" * 24,  # of 48 octets, and of 72 where it is decomposed
        ],
    )
    def test_passwords_that_cannot_be_used(
        self,
        directory: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        password: str,
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
        assert dovecot(directory, "user", "add", "thomas") == ExitCode.USAGE
        assert password not in capsys.readouterr().err
        assert not (directory / "postamt-sync.passwords").exists()

    def test_add_and_passwd_are_not_the_same(
        self, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert dovecot(directory, "user", "passwd", "thomas", "--generate") == ExitCode.USAGE
        assert re.search(r"dovecot user add --config \S+ thomas", capsys.readouterr().err)
        dovecot(directory, "user", "add", "thomas", "--generate")
        before = entry(directory)
        capsys.readouterr()
        assert dovecot(directory, "user", "add", "thomas", "--generate") == ExitCode.USAGE
        assert re.search(r"dovecot user passwd --config \S+ thomas", capsys.readouterr().err)
        assert entry(directory) == before

    def test_only_mailboxes_of_the_configuration(
        self, directory: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert dovecot(directory, "user", "add", "zoe\n", "--generate") == ExitCode.USAGE
        assert "Name one of: thomas" in capsys.readouterr().err

    def test_lines_of_others_stay(self, directory: Path) -> None:
        path = directory / "postamt-sync.passwords"
        path.write_text("# mine\nthomas.b:{PLAIN}x::::::\nthomas:old\nzoe:{PLAIN}y\nthomas:older")
        dovecot(directory, "user", "passwd", "thomas", "--generate")
        lines = path.read_text().splitlines()
        assert lines[2].startswith("thomas:{BLF-CRYPT}$2b$")
        assert lines[:2] + lines[3:] == ["# mine", "thomas.b:{PLAIN}x::::::", "zoe:{PLAIN}y"]
        assert path.stat().st_mode & 0o007 == 0

    def test_two_at_once_do_not_undo_each_other(self, directory: Path) -> None:
        with alone(directory):
            code = dovecot(directory, "user", "add", "thomas", "--generate")
        assert code == ExitCode.TRY_LATER

    @pytest.mark.slow
    def test_a_terminal_is_asked_twice_and_shows_nothing(self, directory: Path) -> None:
        assert typed(directory, PASSWORD, PASSWORD + "x") == ExitCode.USAGE
        assert not (directory / "postamt-sync.passwords").exists()
        assert typed(directory, PASSWORD, PASSWORD) == ExitCode.OK
        assert matches(directory, PASSWORD)


def typed(directory: Path, *passwords: str) -> int:
    """Answer on a real terminal; what it shows must not be the password."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "postamt_sync", "dovecot", "user", "add", "thomas"]
    process = subprocess.Popen(
        [*command, "--config", str(EXAMPLE), "--directory", str(directory)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        for prompt, password in zip(PROMPTS, passwords, strict=True):
            while prompt not in shown:
                shown += terminal.read(1024)
            terminal.write(password.encode() + b"\n")
        code = process.wait(30)
    assert passwords[0].encode() not in shown
    return code


def group_of_dovecot() -> bool:
    return READERS in [group.gr_name for group in grp.getgrall()]
