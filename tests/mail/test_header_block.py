"""Where a header block ends, and its fields by name."""

from __future__ import annotations

import pytest

from postamt_sync.mail.header_block import ANY_FIELD, fields_named, first_fields, header_block


@pytest.mark.parametrize(
    ("head", "block"),
    [
        (b"A: 1\r\nB: 2\r\n\r\nbody", b"A: 1\r\nB: 2\r\n"),
        (b"A: 1\nB: 2\n\nbody", b"A: 1\nB: 2\n"),
        (b"A: 1\r\nB: 2\n\r\nbody", b"A: 1\r\nB: 2\n"),
        (b"A: 1\n\n", b"A: 1\n"),
        (b"A: 1\r\n f: on\r\n\tand on\r\nB: 2\r\n\r\n", b"A: 1\r\n f: on\r\n\tand on\r\nB: 2\r\n"),
        (b"A: 1\n \nB: 2\n\nbody", b"A: 1\n \nB: 2\n"),
        (b"A : 1\nB\t: 2\n\n", b"A : 1\nB\t: 2\n"),
        (b"A:\nB:\n\n", b"A:\nB:\n"),
        (b"A: 1\nno header\nB: 2\n\n", b"A: 1\nno header\nB: 2\n"),
        (b"A: 1\n: nameless\n\nbody", b"A: 1\n: nameless\n"),
        (b"A: 1\nB\xe9: 2\nC: 3\n\n", b"A: 1\nB\xe9: 2\nC: 3\n"),
        (b"A: \xe9\0\n\n", b"A: \xe9\0\n"),
        (b"A: 1\n\0\0\0\r\n\r\n", b"A: 1\n\0\0\0\r\n"),
        (b"\n\nA: 1\n\n", b""),
        (b"\r\nbody", b""),
        (b" folded at once\nA: 1\n\n", b" folded at once\nA: 1\n"),
        (b"From a@b Mon Nov  2\nA: 1\n\n", b"From a@b Mon Nov  2\nA: 1\n"),
        (b"A: 1\n>From a\nX My: y\r\nB: 2\r\n\r\n", b"A: 1\n>From a\nX My: y\r\nB: 2\r\n"),
        (b"A: 1\r\n\nB: 2\r\n\r\n", b"A: 1\r\n"),
        (b"A: 1\r\r\nB: 2\n\n", b"A: 1\r\r\nB: 2\n"),
        (b"A: 1\n\t\nB: 2\n\n", b"A: 1\n\t\nB: 2\n"),
    ],
)  # fmt: skip
def test_header_block_ends_at_the_first_empty_line(head: bytes, block: bytes) -> None:
    assert header_block(head) == block


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r",
        b"A",
        b"A ",
        b"A:",
        b"A: 1",
        b"A: 1\r",
        b"A: 1\r\n",
        b"A: 1\r\n\r",
        b"A: 1\nB",
        b"A: 1\n folded",
        b"A: 1\n folded\n",
        b"A: 1\nB ",
        b"A" * 5_000,
        b"no header\nat all\n",
        b"A: 1\n\0\0\0",
        b"\x89PNG\r\n\x1a\n",
        b" ",
    ],
)
def test_header_block_asks_for_more_while_it_cannot_say(head: bytes) -> None:
    assert header_block(head) is None


def test_header_block_of_ten_thousand_lines() -> None:
    lines = b"".join(b"X-%d: y\r\n" % n for n in range(10_000))
    assert header_block(lines + b"\r\nbody") == lines


NAMED = fields_named("to", "subject")


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"", {}),
        (b"To: a\r\n", {"to": b" a\r"}),
        (b"TO : a\nSubject:b", {"to": b" a", "subject": b"b"}),
        (b"To: a\n b\n\tc\nSubject: d\n", {"to": b" a\n b\n\tc", "subject": b" d"}),
        (b"To: first\nTo: second\n", {"to": b" first"}),
        (b"X-To: a\nToo: b\n To: c\nX: y\nd To: e\n", {}),
        (b"no header\nto:\n", {"to": b""}),
        (b"\nTo: a\n", {"to": b" a"}),
    ],
)
def test_the_first_field_of_each_name_is_returned_as_it_stands(
    block: bytes, found: dict[str, bytes]
) -> None:
    assert first_fields(block, NAMED) == found


def test_any_field_is_found_whose_name_is_one() -> None:
    block = b"A: 1\nb-C: 2\nno header\n: nameless\n" + b"x" * 81 + b": too long\n"
    assert first_fields(block, ANY_FIELD) == {"a": b" 1", "b-c": b" 2"}
