"""Identity of a mail: hashes frozen forever, keys as S3 allows them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postamt_sync.mail.arrival import Arrival, Source, is_key, is_no_mail, mail_id

# Never change a line of these: file names in people's Maildirs hold the hashes. Each is
# `printf 'BUCKET\0KEY' | sha256sum | cut -c1-24`.
FROZEN = [
    (
        "postamt-123456789012-eu-west-1-an",
        "incoming/4k1s0vq2m8d7c6b5a4938271605fedcba9876543",
        "790966d3b18788c8b3ff398e",
    ),
    ("mail", "incoming/abc", "6bda6304b1c7d8719c83f4ec"),
    ("mail", "incoming/Grüße", "b7c0f61419755c0d8f0782ad"),
    ("mail", "incoming/gru\u0308n", "7a2b7d7daab4eb16ccf3ca5e"),
    ("mail", "例え/テスト", "f08a17287d9683b020744aab"),
    ("mail", "📬", "4ff4c313b157b1749197bb80"),
    ("mail", "../..//etc/passwd", "6bf1108a53fe3e7f26d7b96c"),
    ("mail", "a+b%2Bc d\n", "c9989ec6a23699ebf0d1dd46"),
    ("mail", "/", "faf9e7306fc943de7af7b5e6"),
    ("mail", "k" * 1024, "7145a46c0b889da9d8b5f854"),
]


@pytest.mark.parametrize(("bucket", "key", "digest"), FROZEN)
def test_mail_id_is_frozen(bucket: str, key: str, digest: str) -> None:
    assert mail_id(bucket, key) == digest
    assert Arrival(bucket, key, Source.POLL).mail_id == digest


def test_bucket_and_key_do_not_run_into_each_other() -> None:
    assert mail_id("mail", "a/b") != mail_id("maila", "/b")


def test_composed_and_decomposed_keys_are_two_mails() -> None:
    assert mail_id("mail", "\u00e9") != mail_id("mail", "e\u0301")


@pytest.mark.slow
@example("mail", "lone \ud800")
@given(st.text(), st.text(st.characters()))
def test_any_text_has_a_mail_id_that_may_stand_in_a_file_name(bucket: str, key: str) -> None:
    digest = mail_id(bucket, key)
    assert len(digest) == 24
    assert set(digest) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("a", True),
        ("../../etc/passwd", True),
        ("a//b\n\0%+", True),
        ("k" * 1024, True),
        ("é" * 512, True),
        ("", False),
        ("k" * 1025, False),
        ("é" * 512 + "k", False),
        ("lone \ud800", False),
    ],
)
def test_a_key_is_up_to_1024_bytes_of_valid_utf8(key: str, allowed: bool) -> None:
    assert is_key(key) is allowed


@pytest.mark.parametrize(
    ("key", "size", "no_mail"),
    [
        ("incoming/AMAZON_SES_SETUP_NOTIFICATION", 600, True),
        ("AMAZON_SES_SETUP_NOTIFICATION", None, True),
        ("AMAZON_SES_SETUP_NOTIFICATION/x", 600, False),
        ("incoming/xAMAZON_SES_SETUP_NOTIFICATION", 600, False),
        ("incoming/", 0, True),
        ("incoming/", None, False),
        ("incoming/", 1, False),
        ("incoming/empty", 0, False),
    ],
)
def test_setup_notification_and_empty_folder_marker_are_no_mail(
    key: str, size: int | None, no_mail: bool
) -> None:
    assert is_no_mail(key, size) is no_mail


@pytest.mark.parametrize(
    ("storage_class", "restored", "archived"),
    [
        (None, False, False),
        ("STANDARD", False, False),
        ("GLACIER_IR", False, False),
        ("GLACIER", False, True),
        ("DEEP_ARCHIVE", False, True),
        ("GLACIER", True, False),
    ],
)
def test_only_unrestored_glacier_and_deep_archive_count_as_archived(
    storage_class: str | None, restored: bool, archived: bool
) -> None:
    arrival = Arrival("b", "k", Source.POLL, storage_class=storage_class, restored=restored)
    assert arrival.archived is archived
