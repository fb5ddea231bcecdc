"""An alert as its reader gets it."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from postamt_sync.alerts.message import SHOWN, WIDTH, compose
from postamt_sync.alerts.texts import TEXTS
from postamt_sync.ledger.incidents import Cause, Incident

NOW = 1_790_000_000.0


def read(body: bytes) -> EmailMessage:
    message = email.message_from_bytes(body, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def letters(count: int, detail: str = "503 Service Unavailable") -> list[Incident]:
    return [
        Incident(Cause.DEAD_LETTERS, str(n), NOW + 60 * n, f"{n} {detail}") for n in range(count)
    ]


def test_seventeen_failed_deliveries() -> None:
    message = read(compose(letters(17), "anna", NOW + 3600))
    assert message["Subject"] == "postamt-sync: 17 webhook deliveries failed"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["To"].addresses[0].addr_spec == "anna@localhost"
    text = message.get_content()
    flowing = " ".join(text.split())
    assert "17 webhook deliveries failed between " in flowing
    assert "The last: 16 503 Service Unavailable" in flowing
    assert "their mail is here" in flowing
    assert "What to check: - that the box can be reached" in flowing
    assert "dead_letters = false in the section [alerts]" in flowing


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_words(cause: Cause) -> None:
    lasting = cause in {Cause.CREDENTIALS, Cause.SILENCE, Cause.CERTIFICATE, Cause.DISK}
    message = read(compose([Incident(cause, "x", NOW, "the detail", lasting)], "anna", NOW))
    text = message.get_content()
    assert "the detail" in text
    assert "{" not in text + message["Subject"]
    assert f"{cause} = false" in " ".join(text.split())
    assert TEXTS[cause].checks
    assert max(map(len, text.splitlines())) <= WIDTH + 10


def test_how_long_ses_tries_again_is_told_as_ses_does_it() -> None:
    message = read(compose([Incident(Cause.PUBLISHING, "x", NOW, "the detail")], "anna", NOW))
    text = " ".join(message.get_content().split())
    assert "SES tries again, for up to 36 hours" in text
    assert "four hours" not in text


def test_only_the_latest_are_listed() -> None:
    text = read(compose(letters(500), "anna", NOW)).get_content()
    assert "500 webhook deliveries failed" in text
    assert text.count("503 Service Unavailable") == SHOWN + 1
    assert "  0 503" not in text


@pytest.mark.parametrize(
    "detail",
    [
        "a\r\nBcc: everybody@example.com\r\n\r\nevil",
        "\x1b[31mred\x1b[0m",
        "\u202egnp.exe",
        "x" * 10_000,
        "Grüße, 你好, 🙂",
    ],
)
def test_foreign_details_stay_one_line_of_the_body(detail: str) -> None:
    body = compose(letters(2, detail), "anna", NOW)
    message = read(body)
    assert set(message.keys()) == set(read(compose(letters(2, "x"), "anna", NOW)).keys())
    text = message.get_content().replace("\r\n", "\n")
    assert not any(c in text for c in "\x1b\u202e\r")
    assert len(text) < 3000
    if detail.isprintable() and len(detail) < 100:
        assert detail in text


def test_lines_end_as_in_all_mail() -> None:
    body = compose(letters(2), "anna", NOW)
    assert body.count(b"\n") == body.count(b"\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 998


def test_what_lasts_says_since_when() -> None:
    lasting = [Incident(Cause.DISK, "state", NOW, "/var: 10 MiB of 30 GiB are free", lasting=True)]
    text = read(compose(lasting, "anna", NOW + 86_400)).get_content()
    assert text.startswith("A disk is nearly full, since 20")
