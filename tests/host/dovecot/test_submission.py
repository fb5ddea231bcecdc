"""Sending through real Dovecots, which hand the mail on to what speaks as SES does."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest

from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.bootstrap.sender_policy import sender_policy
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import stack
from tests.doubles.ses_smtp import SesSmtp, SesUser
from tests.end_to_end.home import wait_until
from tests.host.machines import Machine
from tests.host.served import PASSWORDS, Served, household, trusting, write_local
from tests.support.ports import reserved_port

pytestmark = [pytest.mark.dovecot, pytest.mark.timeout(600)]


FAMILY = stack(
    smtp_senders=(
        Addressee("anna", ("Anna@example.com", "example.com"), default=True),
        Addressee("bruno", ("bruno@example.com",)),
    )
)


def user_of(mailbox: str, key: str, password: str) -> SesUser:
    """Return the user that bootstrap makes for a mailbox."""
    (sender,) = (s for s in FAMILY.smtp_senders if s.name == mailbox)
    name = FAMILY.smtp_user_of(mailbox)
    return SesUser(key, password, lambda: sender_policy(FAMILY, sender), name)


HOUSEHOLD = SesUser(
    "AKIAHOUSEHOLD0000000",
    "BHousehold/house+household0123456789abcdefg=",
    lambda: smtp_policy(stack()),
)
ANNA = user_of("anna", "AKIAANNAANNAANNA0000", "BAnna/anna+anna0123456789abcdefghijklmnopqr=")
BRUNO = user_of("bruno", "AKIABRUNOBRUNO000000", "BBruno/bruno+bruno0123456789abcdefghijklmno=")

ELSEWHERE = ("127.0.0.2", 0)

LOCAL = """
submission_relay_host = localhost
submission_relay_port = {relay}
ssl_client_ca_file = {base}/fullchain.pem
service submission-login {{
  {chroot}
  inet_listener submission {{
    port = {starttls}
  }}
  inet_listener submissions {{
    port = {tls}
  }}
}}
"""


class Sending:
    """A household that sends through Dovecot, and SES."""

    def __init__(self, home: Served, ses: SesSmtp) -> None:
        self.home = home
        self.ses = ses
        self.tls = reserved_port()
        self.starttls = reserved_port()

    @contextmanager
    def client(
        self, login: str, password: str, *, starttls: bool = False
    ) -> Iterator[smtplib.SMTP]:
        context = trusting(self.home.base)
        with (
            smtplib.SMTP("localhost", self.starttls, timeout=30)
            if starttls
            else smtplib.SMTP_SSL("localhost", self.tls, context=context, timeout=30)
        ) as client:
            if starttls:
                client.starttls(context=context)
            client.login(login, password)
            yield client

    def lets_in(self, login: str, password: str) -> bool:
        """Dovecot looks only so often whether its list of people has changed."""
        try:
            with self.client(login, password):
                return True
        except smtplib.SMTPAuthenticationError:
            return False


@pytest.fixture(scope="module")
def sending(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sending]:
    if not machine.has("submission-login"):
        pytest.skip("Dovecot cannot take mail: sudo apt install dovecot-submissiond")
    with household(machine) as home:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(home.base / "fullchain.pem", home.base / "privkey.pem")
        with SesSmtp(tls, [HOUSEHOLD, ANNA, BRUNO]) as ses:
            sending = Sending(home, ses)
            home.write("--submission")
            files = tmp_path_factory.mktemp("credentials")
            where = ("--directory", str(home.directory))
            home.type("dovecot", "relay", credentials(files, HOUSEHOLD), *where)
            home.type("dovecot", "relay", credentials(files, ANNA), "--mailbox", "anna", *where)
            places = {"relay": ses.port, "tls": sending.tls, "starttls": sending.starttls}
            chroot = "" if os.geteuid() == 0 else "chroot ="
            write_local(home, LOCAL.format(base=home.base, chroot=chroot, **places))
            home.start()
            yield sending


def credentials(directory: Path, user: SesUser, name: str = "") -> str:
    path = directory / (name or user.key)
    path.write_text(
        f"# from bootstrap\n[smtp]\nusername = {user.key}\npassword = {user.password}\n"
    )
    return str(path)


def letter(sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, "friend@else.example", "Hello"
    mail.set_content("Gr\u00fc\u00dfe\n")
    return mail


@pytest.mark.parametrize("starttls", [False, True])
def test_one_login_reads_and_sends(sending: Sending, starttls: bool) -> None:
    with sending.client("Anna@example.com", PASSWORDS["anna"], starttls=starttls) as client:
        client.send_message(letter("anna@example.com"))
    taken = sending.ses.taken[-1]
    assert (taken.mail_from, taken.recipients) == ("anna@example.com", ["friend@else.example"])
    assert b"Subject: Hello" in taken.content
    assert taken.user == ANNA.key


def test_a_mailbox_without_a_user_of_its_own_sends_as_the_household(sending: Sending) -> None:
    change = ("dovecot", "user", "passwd", "bruno", "--directory", str(sending.home.directory))
    sending.home.type(*change, stdin="in ascii for smtplib\n")
    wait_until(lambda: sending.lets_in("bruno", "in ascii for smtplib"))
    with sending.client("bruno", "in ascii for smtplib") as client:
        client.send_message(letter("bruno@example.com"))
        assert sending.ses.taken[-1].user == HOUSEHOLD.key
        # What Dovecot does not look at, and the household's policy allows.
        client.send_message(letter("anna@example.com"))
        assert sending.ses.taken[-1].mail_from == "anna@example.com"


def test_a_mailbox_with_a_user_of_its_own_sends_from_its_own_addresses_only(
    sending: Sending,
) -> None:
    with sending.client("anna", PASSWORDS["anna"]) as client:
        before = len(sending.ses.taken)
        with pytest.raises(smtplib.SMTPDataError, match="Access denied"):
            client.send_message(letter("bruno@example.com"))
        assert len(sending.ses.taken) == before


def test_a_list_that_cannot_be_read_lets_nobody_send_as_the_household(sending: Sending) -> None:
    """Dovecot looks only so often whether a list has changed."""

    def sends() -> bool:
        try:
            with sending.client("anna", PASSWORDS["anna"]) as client:
                client.send_message(letter("anna@example.com"))
        except (smtplib.SMTPException, OSError):
            return False
        return True

    senders = sending.home.directory / "postamt-sync.senders"
    mode, before = senders.stat().st_mode, len(sending.ses.taken)
    changed = senders.stat().st_mtime
    senders.chmod(0)
    os.utime(senders, (changed + 2, changed + 2))
    try:
        wait_until(lambda: not sends())
    finally:
        senders.chmod(mode)
        os.utime(senders, (changed + 4, changed + 4))
    wait_until(sends)
    assert {taken.user for taken in sending.ses.taken[before:]} == {ANNA.key}


@pytest.mark.parametrize("login", ["anna", "anna@example.com", "zoe"])
def test_a_wrong_password_sends_nothing(sending: Sending, login: str) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError), sending.client(login, "wrong"):
        pass


def test_nobody_sends_without_a_login_or_without_tls(sending: Sending) -> None:
    with (
        # From another address: Dovecot takes a connection within one address for private.
        smtplib.SMTP("127.0.0.1", sending.starttls, source_address=ELSEWHERE) as client,
        pytest.raises(smtplib.SMTPNotSupportedError),
    ):
        client.login("anna", PASSWORDS["anna"])
    context = trusting(sending.home.base)
    with (
        smtplib.SMTP_SSL("localhost", sending.tls, context=context, timeout=30) as client,
        pytest.raises(smtplib.SMTPSenderRefused),
    ):
        client.send_message(letter("anna@example.com"))


def test_the_credentials_are_for_few_eyes(sending: Sending) -> None:
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in sending.home.directory.glob("postamt-sync.*")
    }
    assert modes["postamt-sync.relay.conf"] == 0o600
    assert modes["postamt-sync.senders"] & 0o007 == 0
    assert HOUSEHOLD.password not in sending.home.log


@pytest.mark.slow
def test_every_mailbox_sends_as_its_own_user_and_as_nobody_else_and_back(
    sending: Sending, tmp_path: Path
) -> None:
    """Without a restart: Dovecot looks only so often whether a list has changed."""
    home = sending.home
    where = ("--directory", str(home.directory))
    credentials(tmp_path, HOUSEHOLD, "smtp-credentials")
    credentials(tmp_path, ANNA, "smtp-credentials-anna")
    credentials(tmp_path, BRUNO, "smtp-credentials-bruno")
    home.type("dovecot", "user", "passwd", "bruno", *where, stdin="in ascii for smtplib\n")
    passwords = {"anna": PASSWORDS["anna"], "bruno": "in ascii for smtplib"}
    wait_until(lambda: sending.lets_in("bruno", passwords["bruno"]))

    def user_for(login: str, sender: str) -> str:
        """Return the user that took it, or what SES said."""
        before = len(sending.ses.taken)
        try:
            with sending.client(login, passwords[login]) as client:
                client.send_message(letter(sender))
        except smtplib.SMTPDataError as refused:
            assert len(sending.ses.taken) == before
            return str(refused.smtp_error)
        return sending.ses.taken[-1].user

    shared = home.config.read_text()
    home.config.write_text(shared + "\n[stack]\nsmtp_per_mailbox = true\n")
    try:
        home.type("dovecot", "relay", str(tmp_path), *where)
        wait_until(lambda: user_for("bruno", "bruno@example.com") == BRUNO.key)
        assert user_for("anna", "anna@example.com") == ANNA.key
        assert user_for("anna", "info@example.com") == ANNA.key
        assert "Access denied" in user_for("anna", "bruno@example.com")
        assert "Access denied" in user_for("anna", "Bruno@example.com")
        assert "Access denied" in user_for("bruno", "anna@example.com")
        assert "Access denied" in user_for("bruno", "info@example.com")
        assert "household" not in (home.directory / "postamt-sync.relay.conf").read_text().lower()
    finally:
        home.config.write_text(shared)
    home.type("dovecot", "relay", str(tmp_path), *where)
    wait_until(lambda: user_for("bruno", "bruno@example.com") == HOUSEHOLD.key)
    wait_until(lambda: user_for("anna", "anna@example.com") == HOUSEHOLD.key)
    home.type("dovecot", "relay", credentials(tmp_path, ANNA), "--mailbox", "anna", *where)
    wait_until(lambda: user_for("anna", "anna@example.com") == ANNA.key)
