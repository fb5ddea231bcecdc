"""What a page believes, and what it refuses."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.bucket.listing import PAGE_BYTES, Listed, MalformedListingError, Page
from tests.doubles.s3_keys import ODD_KEYS

EXPIRY = "<RestoreExpiryDate>2026-12-01T00:00:00.000Z</RestoreExpiryDate>"


def row(key: str, size: str = "5", more: str = "") -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>2026-11-21T18:49:35.000Z</LastModified>"
        f"<ETag>&quot;abc&quot;</ETag><Size>{size}</Size>{more}</Contents>"
    )


def document(*rows: str, about: str = "<EncodingType>url</EncodingType>") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n'
        f"  <Name>mail</Name>{about}{''.join(rows)}</ListBucketResult>"
    ).encode()


def read(body: bytes, prefix: str = "", after: str = "") -> list[Listed]:
    page = Page(prefix, after)
    page.feed(body)
    return page.finish()


def refusal(body: bytes, prefix: str = "", after: str = "") -> str:
    with pytest.raises(MalformedListingError) as caught:
        read(body, prefix, after)
    assert caught.value.temporary
    assert caught.value.hint
    return caught.value.problem


def test_reads_what_s3_says_of_an_object() -> None:
    [listed] = read(document(row("in/a", more="<StorageClass>DEEP_ARCHIVE</StorageClass>")))
    assert listed == Listed("in/a", "abc", 5, "2026-11-21T18:49:35.000Z", "DEEP_ARCHIVE", False)
    assert listed.modified_at == 1795286975.0


@pytest.mark.parametrize(
    ("written", "restored"),
    [
        ("<IsRestoreInProgress>true</IsRestoreInProgress>", False),
        (f"<IsRestoreInProgress>false</IsRestoreInProgress>{EXPIRY}", True),
        (f"<IsRestoreInProgress>true</IsRestoreInProgress>{EXPIRY}", False),
    ],
)
def test_tells_a_restored_object_from_one_being_restored(written: str, restored: bool) -> None:
    status = f"<StorageClass>GLACIER</StorageClass><RestoreStatus>{written}</RestoreStatus>"
    [listed, plain] = read(document(row("a", more=status), row("b")))
    assert listed.restored is restored
    assert (plain.restored, plain.storage_class) == (False, "STANDARD")


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as there:
        there.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_takes_a_time_without_a_zone_for_utc() -> None:
    assert Listed("k", "e", 1, "1970-01-01T00:01:00", "STANDARD", False).modified_at == 60.0


def test_a_time_that_is_none_fails_only_who_asks_for_it() -> None:
    [listed] = read(document(row("a")).replace(b"2026-11-21T", b"yesterday"))
    with pytest.raises(MalformedListingError):
        _ = listed.modified_at


def test_decodes_form_style_only_where_the_page_says_so() -> None:
    assert [o.key for o in read(document(row("a+b%2Bc%0A")))] == ["a b+c\n"]
    assert [o.key for o in read(document(row("a+b%2Bc%0A"), about=""))] == ["a+b%2Bc%0A"]
    late = document(row("a+b")).replace(b"<EncodingType>url</EncodingType>", b"")
    late = late.replace(b"</List", b"<EncodingType>url</EncodingType></List")
    assert [o.key for o in read(late)] == ["a b"]


def test_a_key_that_is_no_utf8_is_counted_and_spoils_nothing() -> None:
    page = Page("", "")
    page.feed(document(row("a"), row("b%FF"), row("c%ED%A0%80"), row("d")))
    assert [o.key for o in page.finish()] == ["a", "d"]
    assert page.unreadable == 2


@given(st.binary(max_size=300), st.integers(1, 300))
def test_garbage_never_crashes(body: bytes, step: int) -> None:
    whole = document(row("a"))
    at = step % len(whole)
    page = Page("", "")
    try:
        for piece in (whole[:at], body, whole[at:]):
            page.feed(piece)
        page.finish()
    except MalformedListingError:
        pass


def test_the_cuts_of_the_network_change_nothing() -> None:
    body = document(*(row(f"k%C3%BC{n:03}") for n in range(50)))
    dice = random.Random(1)
    page = Page("", "")
    while body:
        at = dice.randrange(1, 40)
        page.feed(body[:at])
        body = body[at:]
    assert [o.key for o in page.finish()] == [f"kü{n:03}" for n in range(50)]


def test_an_empty_page_is_a_page() -> None:
    assert read(document()) == []


def test_refuses_a_page_that_was_cut_off() -> None:
    whole = document(row("a"))
    for at in range(len(whole)):
        assert "cut off" in refusal(whole[:at])


def test_refuses_what_is_no_listing() -> None:
    assert "no listing" in refusal(b"<html><body>Please log in</body></html>")
    assert "no listing" in refusal(b"<a><ListBucketResult/></a>")
    assert "no XML" in refusal(b"Please log in")


def test_refuses_an_encoding_that_nobody_knows() -> None:
    page = Page("", "")
    with pytest.raises(MalformedListingError):
        page.feed(b'<?xml version="1.0" encoding="AUTF-8"?><ListBucketResult/>')


def test_refuses_a_document_type_before_it_declares_anything() -> None:
    bomb = (
        b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
        b"<ListBucketResult><Name>&b;</Name></ListBucketResult>"
    )
    assert "document type" in refusal(bomb)


def test_refuses_a_page_that_does_not_end() -> None:
    page = Page("", "")
    page.feed(b"<ListBucketResult><Name>")
    for _ in range(PAGE_BYTES // 65536 - 1):
        page.feed(b"x" * 65536)
    with pytest.raises(MalformedListingError, match="too big"):
        page.feed(b"x" * 65536)


def test_refuses_more_keys_than_a_page_has() -> None:
    keys = [row(f"{n:05}") for n in range(1001)]
    assert len(read(document(*keys[:1000]))) == 1000
    assert "too many" in refusal(document(*keys))


@pytest.mark.slow
def test_a_full_page_of_the_longest_keys_fits() -> None:
    keys = [row(f"{n:03}" + "%C3%BC" * 510) for n in range(1000)]
    assert len(read(document(*keys))) == 1000


def test_refuses_keys_out_of_order_or_twice() -> None:
    assert "order" in refusal(document(row("b"), row("a")))
    assert "order" in refusal(document(row("a"), row("a")))
    assert "order" in refusal(document(row("")))


def test_refuses_a_page_that_goes_back() -> None:
    assert "order" in refusal(document(row("b")), after="b")


def test_the_order_is_that_of_utf8_bytes() -> None:
    astral, last_of_the_plane = "%F0%9F%93%AE", "%EF%BF%BD"
    assert len(read(document(row(last_of_the_plane), row(astral)))) == 2
    assert sorted(ODD_KEYS) == sorted(ODD_KEYS, key=str.encode)


def test_refuses_keys_that_were_not_asked_for() -> None:
    assert "not asked" in refusal(document(row("recent/a")), prefix="incoming/")


@pytest.mark.parametrize("size", ["", "-1", "1e3", "1_0", "٣", "9" * 5000])
def test_refuses_a_size_that_is_none(size: str) -> None:
    assert "size" in refusal(document(row("a", size)))


def test_refuses_to_stop_in_the_middle() -> None:
    assert "where to go on" in refusal(document(about="<IsTruncated>true</IsTruncated>"))


def test_names_the_next_page() -> None:
    page = Page("", "")
    about = "<IsTruncated>true</IsTruncated><NextContinuationToken>t+=/</NextContinuationToken>"
    page.feed(document(row("a"), about=about))
    page.finish()
    assert (page.token, page.last_key) == ("t+=/", "a")


def test_shows_the_error_that_came_instead() -> None:
    page = Page("", "")
    page.feed(b"<Error><Code>InternalError</Code></Error>")
    assert page.error_document == {"Code": "InternalError", "Error": ""}
