"""Keys of sealed mail: read back exactly, and whatever else lies there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.mail.arrival import LONGEST_KEY
from postamt_sync.mail.sealed_name import SealedName, parse

TIME = datetime(2026, 11, 28, 14, 44, 47, tzinfo=UTC)
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
NAME = SealedName("4k1s0v", TIME, ETAG, 1234)
LAST = f"20261128T144447Z.{ETAG}.1234.pgp"


@pytest.mark.parametrize(
    "mail",
    [
        "4k1s0v",
        "a/b",
        "a/",
        "/a",
        "a b",
        "Grüße ✉",
        "a%2Fb%",
        "a+b&c<d>",
        "a.pgp",
        f"a/{LAST}",
        "..",
        "../../etc/passwd",
        " ",
        "x" * 900,
        "a\nb",
    ],
)
def test_odd_ids_are_read_back(mail: str) -> None:
    key = replace(NAME, id=mail).key("sealed/")
    assert key == f"sealed/{mail}/{LAST}"
    assert parse(key, "sealed/") == replace(NAME, id=mail)


@pytest.mark.parametrize(
    "odd",
    [
        replace(NAME, id=""),
        replace(NAME, id="x" * 1_000),
        replace(NAME, id="ü" * 500),
        replace(NAME, id="\ud800"),
        replace(NAME, etag=""),
        replace(NAME, etag="a.b"),
        replace(NAME, etag="a/b"),
        replace(NAME, size=-1),
    ],
)
def test_what_s3_could_not_hold_or_nobody_read_has_no_key(odd: SealedName) -> None:
    assert odd.key("sealed/") is None


def test_the_longest_key_is_one() -> None:
    longest = LONGEST_KEY - len(f"sealed//{LAST}")
    key = replace(NAME, id="x" * longest).key("sealed/")
    assert key is not None
    assert len(key) == LONGEST_KEY
    assert replace(NAME, id="x" * (longest + 1)).key("sealed/") is None


def test_time_and_etag_are_brought_into_one_form() -> None:
    east = timezone(timedelta(hours=2))
    told = SealedName("4k1s0v", datetime(2026, 11, 28, 16, 44, 47, 999, east), f'"{ETAG}"', 1234)
    assert told == NAME
    with pytest.raises(ValueError, match="zone"):
        SealedName("a", datetime(2026, 11, 28), ETAG, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    "key",
    [
        "sealed/",
        "sealed/4k1s0v",
        "sealed/4k1s0v/",
        f"sealed/{LAST}",
        f"sealed//{LAST}",
        f"incoming/4k1s0v/{LAST}",
        f"Sealed/4k1s0v/{LAST}",
        f"sealed/4k1s0v/{LAST}\n",
        f"sealed/4k1s0v/{LAST}/",
        f"sealed/4k1s0v/{LAST}.asc",
        f"sealed/4k1s0v/20261328T144447Z.{ETAG}.1234.pgp",
        f"sealed/4k1s0v/20261128T144460Z.{ETAG}.1234.pgp",
        f"sealed/4k1s0v/20261128144447Z.{ETAG}.1234.pgp",
        f"sealed/4k1s0v/00001128T144447Z.{ETAG}.1234.pgp",
        f"sealed/4k1s0v/20261128T144447Z.{ETAG}.01234.pgp",
        f"sealed/4k1s0v/20261128T144447Z.{ETAG}.-1.pgp",
        f"sealed/4k1s0v/20261128T144447Z.{ETAG}.\u0661.pgp",
        f"sealed/4k1s0v/20261128T144447Z.{ETAG}..pgp",
        f"sealed/4k1s0v/20261128T144447Z..{ETAG}.12.pgp",
        f"sealed/4k1s0v/20261128T144447Z.-{'-' * 128}.12.pgp",
        f"sealed/4k1s0v/20261128T144447Z.--etag--.{'9' * 17}.pgp",
    ],
)
def test_what_is_no_key_of_ours_is_no_sealed_mail(key: str) -> None:
    assert parse(key, "sealed/") is None


def test_without_a_prefix_nothing_is_sealed() -> None:
    assert parse(f"4k1s0v/{LAST}", "") is None
    assert NAME.key("") is None


@given(
    st.text(max_size=40),
    st.datetimes(timezones=st.just(UTC)),
    st.from_regex(r"[0-9a-zA-Z-]{1,40}", fullmatch=True),
    st.integers(0, 10**15),
)
def test_whatever_has_a_key_is_read_back(mail: str, time: datetime, etag: str, size: int) -> None:
    name = SealedName(mail, time, etag, size)
    key = name.key("sealed/")
    assert (key is None) == (not mail)
    assert key is None or parse(key, "sealed/") == name


@given(st.text(max_size=80))
def test_any_text_is_read_without_harm(text: str) -> None:
    read = parse(f"sealed/{text}", "sealed/")
    assert read is None or read.key("sealed/") == f"sealed/{text}"
