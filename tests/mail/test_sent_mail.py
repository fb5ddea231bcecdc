"""Keys of sent mail: frozen, read back exactly, and whatever else lies there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.mail.sent_mail import (
    SentMail,
    is_sent,
    month_before,
    read_sent_key,
    sent_key,
)

DRAFT = "0123456789abcdef-0123"
VECTORS = {
    ("anna", "2026-11", DRAFT): f"sent/anna/2026-11/{DRAFT}",
    ("a.b_c-1", "1999-01", "a" * 64): f"sent/a.b_c-1/1999-01/{'a' * 64}",
    ("Jörg/..", "2026-12", DRAFT): f"sent/J%C3%B6rg%2F../2026-12/{DRAFT}",
}


@pytest.mark.parametrize("facts", VECTORS)
def test_keys_are_frozen_and_can_be_read(facts: tuple[str, str, str]) -> None:
    assert sent_key(*facts) == VECTORS[facts]
    assert read_sent_key(VECTORS[facts]) == SentMail(*facts)


@pytest.mark.slow
@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.dates().map(lambda day: f"{day:%Y-%m}".zfill(7)),
    st.from_regex(r"[a-z0-9-]{20,64}", fullmatch=True),
)
def test_whatever_is_named_can_be_read(mailbox: str, month: str, draft: str) -> None:
    read = read_sent_key(sent_key(mailbox, month, draft))
    assert read is None or read == SentMail(mailbox, month, draft)
    assert read is not None or len(mailbox) > 10  # only names of many encoded letters are too long


@pytest.mark.parametrize(
    "key",
    [
        "sent/",
        "sent/anna",
        "sent/anna/",
        f"sent/anna/{DRAFT}",
        f"sent/anna/2026-13/{DRAFT}",
        f"sent/anna/2026-00/{DRAFT}",
        f"sent/anna/2026-11/{DRAFT}/",
        f"sent/anna/2026-11/{DRAFT}\n",
        f"sent/anna/2026-11/{DRAFT.upper()}",
        "sent/anna/2026-11/short",
        f"sent/anna/2026-11/{'a' * 65}",
        f"sent//2026-11/{DRAFT}",
        f"sent/../2026-11/../{DRAFT}",
        f"sent/anna/../2026-11/{DRAFT}",
        f"sent/J%c3%b6rg/2026-11/{DRAFT}",  # one name, one key
        f"sent/Jörg/2026-11/{DRAFT}",
        f"sent/%61nna/2026-11/{DRAFT}",
        f"sent/anna%/2026-11/{DRAFT}",
        f"sent/anna%ff/2026-11/{DRAFT}",
        f"sent/anna%00%zz/2026-11/{DRAFT}",
        f"sent/anna /2026-11/{DRAFT}",
        f"sent/anna/\u0662\u0660\u0662\u0666-11/{DRAFT}",
        f"Sent/anna/2026-11/{DRAFT}",
        f"incoming/sent/anna/2026-11/{DRAFT}",
    ],
)
def test_what_is_no_key_of_ours_names_nobody(key: str) -> None:
    assert read_sent_key(key) is None


@given(st.text(max_size=80))
def test_any_text_is_read_without_harm(text: str) -> None:
    read = read_sent_key(f"sent/{text}")
    assert read is None or sent_key(read.mailbox, read.month, read.draft) == f"sent/{text}"


def test_a_name_that_is_a_path_elsewhere_stays_a_name() -> None:
    read = read_sent_key(f"sent/..%2F..%2Fetc/2026-11/{DRAFT}")
    assert read is not None
    assert read.mailbox == "../../etc"  # which no mailbox is called


@pytest.mark.parametrize("prefix", ["", "s", "sent/", "sent/anna/"])
def test_where_what_comes_lies_there_too_nothing_counts_as_sent(prefix: str) -> None:
    assert not is_sent(f"sent/anna/2026-11/{DRAFT}", prefix)


def test_what_lies_there_counts_as_sent_and_nothing_else() -> None:
    assert is_sent("sent/junk", "incoming/")
    assert not is_sent("incoming/sent/anna", "incoming/")
    assert not is_sent("outbox/anna", "incoming/")


def test_the_month_before_january_is_last_december() -> None:
    assert [month_before(m) for m in ("2026-11", "2026-01", "2026-10")] == [
        "2026-10",
        "2025-12",
        "2026-09",
    ]
