"""Each user for sending is tried at what answers as SES does."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.aws.smtp import SmtpServer
from postamt_sync.bootstrap.open_stack import stack_of
from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.bootstrap.policy_document import Document
from postamt_sync.bootstrap.sender_policy import sender_policy
from postamt_sync.cli.main import run
from postamt_sync.config import Settings, load
from postamt_sync.doctor.check import findings_of
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.simulator import SIMULATOR, simulator_check
from postamt_sync.errors import ExitCode
from postamt_sync.host.smtp_credentials import SmtpCredentials
from tests.doubles.proxy import authority_and_leaf
from tests.doubles.ses_account import SesAccount
from tests.doubles.ses_smtp import SesSmtp, SesUser
from tests.doubles.sns import key_pem, private_key
from tests.support.household import configuration

PASSWORD = "B" * 44
CONFIG = configuration(
    Path("/srv"),
    '[stack]\ndomains = ["example.com"]\nsmtp_per_mailbox = {own}\n',
    maildirs=Path("/mail"),
    addresses={"bruno": ["example.com", "b@example.com"]},
)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    root, leaf = authority_and_leaf("localhost")
    for name, content in (("root", root), ("leaf", leaf), ("key", key_pem(private_key(9)))):
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf", tmp_path / "key")
    return context


class Sending:
    """A household, its users at SES, and what each is allowed."""

    def __init__(self, base: Path, tls: ssl.SSLContext) -> None:
        self.base = base
        self.account = SesAccount()
        self.policies: dict[str, Document] = {}
        users = [
            SesUser(f"AKIA{name.upper():0>16}", PASSWORD, lambda name=name: self.policies[name])
            for name in ("house", "anna", "bruno")
        ]
        self.ses = SesSmtp(tls, users, account=lambda: self.account)

    def settings(self, own: bool) -> Settings:
        path = self.base / "config.toml"
        path.write_text(CONFIG.format(own=str(own).lower()))
        settings = load(path, {})
        stack = stack_of(settings, "123456789012")
        self.policies = {s.name: sender_policy(stack, s) for s in stack.smtp_senders}
        self.policies["house"] = smtp_policy(stack)
        return settings

    def findings(self, mailbox: str = "", password: str = PASSWORD) -> list[Finding]:
        settings = self.settings(bool(mailbox)) if not self.policies else load(self._path, {})
        credentials = SmtpCredentials(f"AKIA{mailbox.upper() or 'HOUSE':0>16}", password)
        server = SmtpServer("localhost", starttls=(self.ses.port,))
        return list(findings_of(simulator_check(settings, server, mailbox, credentials)))

    @property
    def _path(self) -> Path:
        return self.base / "config.toml"


@pytest.fixture
def sending(tmp_path: Path, tls: ssl.SSLContext) -> Iterator[Sending]:
    sending = Sending(tmp_path, tls)
    with sending.ses:
        yield sending


@pytest.mark.parametrize("sandbox", [False, True])
def test_the_shared_user_sends_to_the_simulator(sending: Sending, sandbox: bool) -> None:
    sending.account = SesAccount(sandbox=sandbox)
    (found,) = sending.findings()
    assert (found.subject, found.outcome) == ("sending", Severity.OK)
    (taken,) = sending.ses.taken
    assert (taken.mail_from, taken.recipients) == ("anna@example.com", [SIMULATOR])


@pytest.mark.parametrize(("name", "other"), [("anna", "b@"), ("bruno", "anna@")])
def test_a_mailboxs_user_sends_as_itself_and_is_refused_as_another(
    sending: Sending, name: str, other: str
) -> None:
    sends, refused = sending.findings(name)
    assert (sends.subject, sends.outcome) == (f"sending {name}", Severity.OK)
    assert refused.outcome is Severity.OK
    assert f"refused to send a mail from {other}example.com as {name}" in refused.words
    assert len(sending.ses.taken) == 1


def test_one_that_can_send_as_another_is_a_failure(sending: Sending) -> None:
    sending.settings(own=True)
    sending.policies["anna"] = sending.policies["house"]
    _, told = sending.findings("anna")
    assert told.outcome is Severity.FAILURE
    assert told.words == "anna can send as b@example.com, which is someone else's address."
    assert "bootstrap apply" in told.remedy


def test_what_ses_says_against_it_is_told_with_the_remedy(sending: Sending) -> None:
    (told,) = sending.findings(password="C" * 44)
    assert told.outcome is Severity.FAILURE
    assert "535" in told.words
    assert "C" * 44 not in told.words
    sending.account = SesAccount(identities={"else.example": ""})
    (told,) = sending.findings()
    assert "As anna@example.com: " in told.words
    assert "is not verified" in told.words
    assert told.remedy


def test_without_any_address_it_is_told_that_nothing_was_tried(
    sending: Sending, tmp_path: Path
) -> None:
    sending.settings(own=False)
    text = CONFIG.format(own="false").replace('domains = ["example.com"]', "domains = []")
    (tmp_path / "config.toml").write_text(text)
    (told,) = sending.findings()
    assert (told.outcome, told.words[:9]) == (Severity.WARNING, "Not tried")
    assert sending.ses.taken == []


@pytest.mark.parametrize(
    ("own", "argv", "said"),
    [
        (False, (), "--smtp-credentials FILE"),
        (True, ("--smtp-credentials", "smtp-credentials"), "smtp-credentials-anna"),
    ],
)
def test_doctor_must_know_whose_credentials_to_take(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    own: bool,
    argv: tuple[str, ...],
    said: str,
) -> None:
    path, keys = tmp_path / "config.toml", tmp_path / "smtp-credentials"
    path.write_text(CONFIG.format(own=str(own).lower()))
    keys.write_text(f"[smtp]\nusername = AKIAHOUSE00000000000\npassword = {PASSWORD}\n")
    argv = tuple(str(keys) if one == keys.name else one for one in argv)
    assert run(["doctor", "--send", *argv, "--config", str(path)]) == ExitCode.USAGE
    assert said in " ".join(capsys.readouterr().err.split())
