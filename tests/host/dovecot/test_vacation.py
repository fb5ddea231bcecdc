"""Sieve's vacation notes go out through what refuses as SES does, from real Dovecots.

Dovecot runs the command as the mail user, which may not see our Python, and Debian 13's in a root
without any. So a stand-in keeps what it was called with, and the command is run with just that.
"""

from __future__ import annotations

import os
import pwd
import re
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.bootstrap.sender_policy import sender_policy
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import stack
from tests.doubles.ses_smtp import SesSmtp, SesUser, Taken
from tests.end_to_end.home import wait_until
from tests.host.machines import Machine
from tests.host.served import PASSWORDS, Served, give, household

pytestmark = [pytest.mark.dovecot, pytest.mark.slow, pytest.mark.timeout(600)]

BRUNO = Addressee("bruno", ("bruno@example.com",))
FAMILY = stack(smtp_senders=(Addressee("anna", ("anna@example.com",)), BRUNO))
KEYS = {"household": "AKIAHOUSEHOLD0000000", "bruno": "AKIABRUNOBRUNO000000"}
PASSWORD = "BHousehold/house+household0123456789abcdefg="
USERS = [
    SesUser(KEYS["household"], PASSWORD, lambda: smtp_policy(stack())),
    SesUser(KEYS["bruno"], PASSWORD, lambda: sender_policy(FAMILY, BRUNO)),
]

STAND_IN = """\
#!/bin/sh
printf '%s\\n' "$@" >"{sent}/arguments"
cat >"{sent}/mail"
mv "{sent}/mail" "{sent}/whole"
[ ! -e "{sent}/refused" ] || exit 78
"""


class Away:
    """Bruno, whose script sends, and SES."""

    def __init__(self, home: Served, ses: SesSmtp) -> None:
        self.home, self.ses = home, ses
        self.sent = home.base / "sent"
        self.number = 0

    def script(self, text: str) -> None:
        place = self.home.base / "mail/bücher/dovecot"
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            if old.is_file():
                old.unlink()  # whom Bruno has answered already, too
        (place / ".dovecot.sieve").write_text(text)
        give(self.home.base / "mail", self.home.settings.home.mail_user)

    def gets(self, to: str = "bruno@example.com") -> None:
        """Have a mail come in for Bruno."""
        self.number += 1
        mail = (
            f"Return-Path: <clara@sender.example>\r\nFrom: clara@sender.example\r\nTo: {to}\r\n"
            f"Subject: {self.number}\r\nMessage-ID: <{self.number}@sender.example>\r\n\r\nHello\r\n"
        )
        with smtplib.LMTP(str(self.home.base / "lmtp")) as client:
            client.sendmail("clara@sender.example", ["bruno@example.com"], mail)

    def sends(self) -> str:
        """Wait for what the script sends, try it, and return what was said of it."""
        wait_until((self.sent / "whole").exists)
        command = self.command.split()[1:]
        arguments = (self.sent / "arguments").read_text().splitlines()
        done = subprocess.run(
            [sys.executable, "-m", "postamt_sync", *command, *arguments],
            input=(self.sent / "whole").read_text(),
            capture_output=True,
            text=True,
            env={**os.environ, "SSL_CERT_FILE": str(self.home.base / "fullchain.pem")},
            check=False,
        )
        assert done.returncode == (78 if done.stderr else 0)
        return " ".join(done.stderr.split())

    @property
    def command(self) -> str:
        """The command that the written configuration names."""
        text = (self.home.directory / "dovecot.conf").read_text()
        (command,) = re.findall(r"^sendmail_path = (.+)$", text, re.MULTILINE)
        return str(command)

    def begin(self) -> None:
        """Forget what was sent before."""
        for path in self.sent.iterdir():
            path.unlink()
        self.ses.taken.clear()

    def note(self) -> Taken:
        assert self.sends() == ""
        (taken,) = self.ses.taken
        return taken

    def subjects(self) -> str:
        with self.home.client("bruno", PASSWORDS["bruno"]) as client:
            client.select_folder("INBOX", readonly=True)
            found = client.fetch(client.search(), ["BODY.PEEK[HEADER.FIELDS (SUBJECT)]"])
            return " ".join(str(mail) for mail in found.values())


@pytest.fixture(scope="module")
def away(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Away]:
    if not (machine.has("lmtp") and machine.has("modules/lib90_sieve_plugin.so")):
        pytest.skip("no LMTP with Sieve: sudo apt install dovecot-lmtpd dovecot-sieve")
    with household(machine) as home:
        delivery = f'[delivery]\nlmtp = "{home.base}/lmtp"\n'
        text = home.config.read_text().replace("[[mailboxes]]", f"{delivery}[[mailboxes]]", 1)
        home.config.write_text(text + 'delivery = "lmtp"\n')
        home.write()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(home.base / "fullchain.pem", home.base / "privkey.pem")
        files = tmp_path_factory.mktemp("keys")
        for name, key in KEYS.items():
            (files / name).write_text(f"[smtp]\nusername = {key}\npassword = {PASSWORD}\n")
        with SesSmtp(tls, USERS) as ses:
            away = Away(home, ses)
            away.sent.mkdir()
            away.sent.chmod(0o777)
            _have(home, ses, str(files / "household"))
            program = home.base / "sendmail"
            program.write_text(STAND_IN.format(sent=away.sent))
            program.chmod(0o755)
            local = home.directory / "local.conf"
            local.write_text(f"{local.read_text()}sendmail_path = {program}\n")
            home.start()
            yield away


def _have(home: Served, ses: SesSmtp, *relay: str) -> None:
    """Give Dovecot credentials; the server is here."""
    home.type("dovecot", "relay", *relay, "--directory", str(home.directory))
    path = home.directory / "postamt-sync.sendmail"
    text = path.read_text()
    assert "host = email-smtp.eu-west-1.amazonaws.com\nport = 587\n" in text
    text = text.replace("email-smtp.eu-west-1.amazonaws.com", "localhost")
    path.write_text(text.replace("port = 587", f"port = {ses.port}"))


AWAY = 'require ["vacation"]; vacation {more} "I am away.";'


def test_a_note_comes_from_the_address_that_the_mail_came_to(away: Away) -> None:
    away.begin()
    away.script(AWAY.format(more=""))
    away.gets()
    note = away.note()
    assert (note.mail_from, note.recipients) == ("bruno@example.com", ["clara@sender.example"])
    assert note.user == KEYS["household"]
    assert re.search(rb"^From: <?bruno@example.com>?\r$", note.content, re.MULTILINE)
    assert b"I am away." in note.content
    assert f"Subject: {away.number}" in away.subjects()


def test_a_mailbox_with_a_user_of_its_own_sends_as_that_one_and_as_nobody_else(
    away: Away, tmp_path: Path
) -> None:
    keys = tmp_path / "bruno"
    keys.write_text(f"[smtp]\nusername = {KEYS['bruno']}\npassword = {PASSWORD}\n")
    for_all = (away.home.directory / "postamt-sync.sendmail").read_bytes()
    _have(away.home, away.ses, str(keys), "--mailbox", "bruno")
    try:
        away.begin()
        away.script(AWAY.format(more=""))
        away.gets()
        assert away.note().user == KEYS["bruno"]
        away.begin()
        away.script(AWAY.format(more=':from "anna@example.com"'))
        away.gets()
        assert "554 Access denied" in away.sends()
        assert away.ses.taken == []
    finally:
        (away.home.directory / "postamt-sync.sendmail").write_bytes(for_all)


def test_from_where_ses_has_verified_nothing_no_note_leaves(away: Away) -> None:
    away.begin()
    away.script(AWAY.format(more=':from "bruno@nowhere.example"'))
    away.gets()
    assert "Email address is not verified" in away.sends()
    assert f"Subject: {away.number}" in away.subjects()


@pytest.mark.parametrize(
    "script",
    [
        'redirect "bruno@elsewhere.example";',
        'require "copy"; redirect :copy "anna@example.com";',
        'require "reject"; reject "Go away.";',
        'require "enotify"; notify "mailto:bruno@elsewhere.example";',
    ],
)
def test_what_ses_would_refuse_keeps_no_mail_from_coming(away: Away, script: str) -> None:
    away.begin()
    (away.sent / "refused").touch()
    away.script(script)
    away.gets()
    assert f"Subject: {away.number}" in away.subjects()
    assert (away.sent / "whole").exists() == ("redirect" not in script)


def test_the_credentials_are_for_root_and_the_mail_user(away: Away) -> None:
    path = away.home.directory / "postamt-sync.sendmail"
    assert path.stat().st_mode & 0o777 in {0o640, 0o600}
    if os.geteuid() == 0:
        user = pwd.getpwnam(away.home.settings.home.mail_user)
        assert (path.stat().st_uid, path.stat().st_gid) == (0, user.pw_gid)
