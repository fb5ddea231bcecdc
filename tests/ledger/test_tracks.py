# ruff: noqa: RUF001 - what senders write is the point
"""Finding mails by what a person types, in every script, and literally."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from postamt_sync.ledger import Ledger
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.search_text import folded
from postamt_sync.ledger.tracks import read_word
from postamt_sync.mail.arrival import Arrival, Envelope, Source, mail_id

AT = datetime(2026, 11, 27, 14, 5, 30).astimezone().timestamp()


def keep(ledger: Ledger, key: str, at: float = AT, *recipients: str, **header: str) -> str:
    envelope = Envelope(recipients) if recipients else None
    ledger.arrivals.record(
        [Arrival("mail", key, Source.WEBHOOK, etag="e", last_modified=at, envelope=envelope)]
    )
    mail = mail_id("mail", key)
    if header:
        ledger.headers.put([MailHeader(mail, at, **header)])
    return mail


def found(ledger: Ledger, *words: str, since: float | None = None) -> list[str]:
    return [track.key for track in ledger.tracks.search([read_word(w) for w in words], since)]


@pytest.mark.parametrize(
    ("subject", "word"),
    [
        ("Grüße aus Århus", "grusse"),
        ("GRÜSSE", "grüße"),
        ("Cafe\u0301", "café"),
        ("café", "CAFE\u0301"),
        ("Łódź", "lodz"),
        ("Smørrebrød", "smorrebrod"),
        ("İstanbul'da", "istanbul"),
        ("ПРИВЕТ мир", "привет"),
        ("你好，世界", "世界"),
        ("한국어 메일", "한국"),
        ("ＦＵＬＬ width", "full"),
        ("in\u00advoice", "invoice"),
        ("in\u200bvoice", "invoice"),
        ("It’s “here”", 'it\'s "here"'),
        ("ﬁnance", "finance"),
        ("Don't", "don't"),
        ('5" disk', '5"'),
        ("100% off", "100%"),
        ("snake_case", "e_c"),
        ("a\\b", "a\\b"),
        ("שָׁלוֹם", "שלום"),
        ("🎉 party", "🎉"),
        ("x" * 300, "X" * 300),
    ],
)
def test_case_accents_and_forms_do_not_matter(ledger: Ledger, subject: str, word: str) -> None:
    keep(ledger, "in/a", subject=subject)
    keep(ledger, "in/b", subject="something else")
    assert found(ledger, word) == ["in/a"]


@pytest.mark.parametrize("word", ["%", "_", "100_", "s%e", "*", "a?b", "' OR 1=1 --", "\x00"])
def test_nothing_in_a_word_stands_for_anything_else(ledger: Ledger, word: str) -> None:
    keep(ledger, "in/a", subject="100 percent of snakes", sender="Anna <anna@example.com>")
    assert found(ledger, word) == []


def test_all_words_must_be_there_wherever(ledger: Ledger) -> None:
    keep(ledger, "in/a", AT, "anna@example.com", subject="Tea", sender="Clara <c@x.example>")
    keep(ledger, "in/b", AT, "bruno@example.com", subject="Tea", sender="Dora <d@x.example>")
    assert found(ledger, "tea", "CLARA") == ["in/a"]
    assert found(ledger, "bruno@", "Tea") == ["in/b"]
    assert found(ledger, "clara", "dora") == []


def test_a_phrase_is_one_word(ledger: Ledger) -> None:
    keep(ledger, "in/a", subject="your order is here")
    keep(ledger, "in/b", subject="order this for your dog")
    assert found(ledger, "your order") == ["in/a"]


@pytest.mark.parametrize("word", ["<Id.1@x.example>", "id.1@x.example", "ID.1@", "in/a", "In/A"])
def test_a_mail_is_found_by_message_id_and_by_key(ledger: Ledger, word: str) -> None:
    keep(ledger, "in/a", message_id="<id.1@x.example>")
    keep(ledger, "in/b", message_id="<id.2@x.example>")
    assert found(ledger, word) == ["in/a"]


@pytest.mark.parametrize("form", ["{}", "K{}"])
def test_a_mail_is_found_by_its_mail_id(ledger: Ledger, form: str) -> None:
    mail = keep(ledger, "in/a")
    keep(ledger, "in/b")
    assert found(ledger, form.format(mail)) == ["in/a"]


@pytest.mark.parametrize(
    "word",
    ["2026-11-27", "2026-11", "2026-11-27T14", "2026-11-27 14:05", "2026-11-27t14:05:30", "14:05"],
)
def test_a_word_may_be_a_day_or_a_time(ledger: Ledger, word: str) -> None:
    keep(ledger, "in/a")
    keep(ledger, "in/b", AT - 40 * 86_400 - 7200)
    assert found(ledger, word) == ["in/a"]


def test_a_time_is_read_as_json_prints_it(ledger: Ledger) -> None:
    keep(ledger, "in/a")
    keep(ledger, "in/b", AT - 3600)
    utc = datetime.fromtimestamp(AT, UTC)
    for word in (utc.isoformat(), f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M+00:00}"):
        assert found(ledger, word) == ["in/a"]


@pytest.mark.parametrize(
    "word", ["2026-13", "2026-02-30T10:00Z", "2026-02-30", "2026-11-27 25:00", "24:00", "9999-12"]
)
def test_what_is_not_a_time_is_text(ledger: Ledger, word: str) -> None:
    keep(ledger, "in/a", subject=f"of {word} it was")
    assert found(ledger, word) == ["in/a"]


def test_today_and_yesterday_are_days(ledger: Ledger) -> None:
    keep(ledger, "in/a", time.time())
    keep(ledger, "in/b", time.time() - 86_400)
    assert found(ledger, "today") == ["in/a"]
    assert found(ledger, "yesterday") == ["in/b"]


def test_a_search_gives_the_newest_first_and_nothing_older_than_since(ledger: Ledger) -> None:
    for n in range(5):
        keep(ledger, f"in/{n}", AT + n, subject="Tea")
    assert found(ledger, "tea", since=AT + 3) == ["in/4", "in/3"]


def test_setup_notes_are_no_mail(ledger: Ledger) -> None:
    keep(ledger, "in/AMAZON_SES_SETUP_NOTIFICATION")
    assert found(ledger, "amazon") == []
    assert ledger.tracks.count() == 0


def test_folding_is_stable() -> None:
    for text in ("İÏßŒﬃ", "ǅ", "ΣΊΣΥΦΟΣ", "ẞ", "각", "क़ि"):
        assert folded(folded(text)) == folded(text)
