"""Who may send what, over SMTP: the commands that a person types, and SES with their policy.

IAM's answer is evaluated on the policy that stands in the account at that moment, on the identities
and configuration sets that it has.
"""

from __future__ import annotations

import asyncio
import json
import os
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.bootstrap.key_file import SMTP_CREDENTIALS, SmtpKeyFile
from postamt_sync.bootstrap.policy_document import Document, text
from tests.doubles.account import stack
from tests.doubles.moto import Moto, moto
from tests.doubles.proxy import authority_and_leaf
from tests.doubles.ses_account import as_emulated
from tests.doubles.ses_smtp import SesSmtp, SesUser
from tests.doubles.sns import key_pem, private_key
from tests.end_to_end.test_bootstrap import type_

pytestmark = pytest.mark.timeout(300)

STACK = stack(domains=("verified.example", "second.verified.example"), public_url="")
ANN = "ann@verified.example"
FRIEND = "friend@friends.verified.example"
WORK = "work.verified.example"
"""What lies below verified.example the emulator's SES verifies at once; here they are strangers."""
SENT = "sent"


class Cloud:
    """An emulated account, the commands of bootstrap, and SES's SMTP server."""

    def __init__(self, emulator: Moto, base: Path) -> None:
        self.client = emulator.client
        self.base = base
        self.config, self.keys = base / "config.toml", base / "keys"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
            **emulator.environment,
            "COLUMNS": "80",
        }

    def type_(self, *words: str) -> tuple[int, str]:
        """Run a command of bootstrap in a process of its own."""
        return asyncio.run(type_(self.base, self.environment, "bootstrap", *words))

    def apply(self, *words: str) -> str:
        code, said = self.type_("apply", "--yes", *self.at, *words)
        assert code == 0, said
        return said

    def plan(self) -> tuple[int, list[str]]:
        code, said = self.type_("plan", "--json", *self.at)
        changes = json.loads(said)["changes"]
        return code, [f"{c['resource']}: {c['change']}: {', '.join(c['calls'])}" for c in changes]

    @property
    def at(self) -> tuple[str, ...]:
        return "--config", str(self.config), "--out", str(self.keys)

    def policy(self) -> Document:
        named = {"UserName": STACK.smtp_user, "PolicyName": STACK.smtp_user}
        policy: Document = self.client("iam").get_user_policy(**named)["PolicyDocument"]
        return policy

    def send(self, sender: str, recipient: str) -> str:
        """Send as a mail client does; return what SES says of it."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = sender, recipient, "Hello"
        mail.set_content("from home\n")
        values = SmtpKeyFile(self.keys / SMTP_CREDENTIALS, STACK).read()
        trust = ssl.create_default_context(cafile=str(self.base / "root"))
        user = SesUser(values["username"], values["password"], self.policy, STACK.smtp_user)
        names = [
            i["IdentityName"]
            for i in self.client("sesv2").list_email_identities()["EmailIdentities"]
        ]
        account = as_emulated(self.client("sesv2"), names)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.base / "leaf", self.base / "key")
        with (
            SesSmtp(tls, [user], account=lambda: account) as ses,
            smtplib.SMTP("localhost", ses.port, timeout=60) as client,
        ):
            client.starttls(context=trust)
            client.login(values["username"], values["password"])
            try:
                client.send_message(mail)
            except smtplib.SMTPDataError as error:
                return f"{error.smtp_code} {error.smtp_error.decode()}"
            return SENT if ses.taken else "lost"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    root, leaf = authority_and_leaf("localhost")
    for name, content in (("root", root), ("leaf", leaf), ("key", key_pem(private_key(9)))):
        (tmp_path / name).write_bytes(content)
    with moto() as emulator:
        cloud = Cloud(emulator, tmp_path)
        domains = [word for domain in STACK.domains for word in ("--domain", domain)]
        what = (*domains, "--region", STACK.region, "--mailbox", "ann", "--no-port")
        code, said = cloud.type_("init", *what, "--output", str(cloud.config))
        assert code == 0, said
        yield cloud


def test_who_may_send_what_and_a_stack_that_was_made_before(cloud: Cloud) -> None:
    said = cloud.apply()
    assert "send only to addresses and domains that SES has verified" in " ".join(said.split())
    assert cloud.plan() == (0, [])

    sesv2 = cloud.client("sesv2")
    sesv2.create_configuration_set(ConfigurationSetName="main")
    for identity in (ANN, FRIEND, WORK):
        sesv2.create_email_identity(EmailIdentity=identity)
    sesv2.put_email_identity_configuration_set_attributes(
        EmailIdentity="second.verified.example", ConfigurationSetName="main"
    )

    ours = "arn:aws:ses:eu-west-1:123456789012"
    denied = (
        "554 Access denied: User `arn:aws:iam::123456789012:user/postamt-smtp' is not authorized "
        "to perform `ses:SendRawEmail' on resource `{}'"
    )
    bob, ben = "bob@verified.example", "ben@second.verified.example"
    sent = {
        "bob to his own domain": (bob, bob),
        "bob to a verified address": (bob, FRIEND),
        "ann, whose address is an identity": (ANN, bob),
        "ben, whose domain has a configuration set": (ben, bob),
    }
    refused = {
        "another domain of the account": (f"boss@{WORK}", bob),
        "a friend's address": (FRIEND, bob),
        "capital letters": ("Bob@Verified.Example", bob),
        "a stranger": ("bob@stranger.example", bob),
    }

    def answers(cases: dict[str, Any]) -> dict[str, str]:
        return {case: cloud.send(*mail) for case, mail in cases.items()}

    # A stack that was made when the policy named the domains' identities and nothing else.
    policy = cloud.policy()
    (statement,) = policy["Statement"]
    statement["Resource"] = [STACK.identity_arn(domain) for domain in STACK.domains]
    named = {"UserName": STACK.smtp_user, "PolicyName": STACK.smtp_user}
    cloud.client("iam").put_user_policy(**named, PolicyDocument=text(policy))
    assert answers(sent) == {
        "bob to his own domain": SENT,
        "bob to a verified address": denied.format(f"{ours}:identity/{FRIEND}"),
        "ann, whose address is an identity": denied.format(f"{ours}:identity/{ANN}"),
        "ben, whose domain has a configuration set": denied.format(
            f"{ours}:configuration-set/main"
        ),
    }

    change = "user postamt-smtp: policy: was changed, restore it: iam put_user_policy"
    assert cloud.plan() == (2, [change])
    assert "1/1 user postamt-smtp: policy: was changed, restore it" in cloud.apply()
    assert cloud.plan() == (0, [])

    assert answers(sent) == dict.fromkeys(sent, SENT)
    said = answers(refused)
    assert said.pop("a stranger").startswith("554 Message rejected: Email address is not verified")
    assert all(words.startswith("554 Access denied") for words in said.values()), said
