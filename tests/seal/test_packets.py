"""Whom a message is for, by its first bytes; and anything may lie there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.seal.packets import key_id, recipients_of

BODY = b"\x03" + bytes(range(8)) + b"\x12rest"
ID = bytes(range(8)).hex().upper()
NEXT = b"\xd2\x05hello"


def test_every_form_of_a_length_is_read() -> None:
    for packet in (
        b"\xc1" + bytes([len(BODY)]) + BODY,
        b"\xc1\xff" + len(BODY).to_bytes(4) + BODY,
        b"\x84" + bytes([len(BODY)]) + BODY,
        b"\x85" + len(BODY).to_bytes(2) + BODY,
        b"\x86" + len(BODY).to_bytes(4) + BODY,
    ):
        assert recipients_of(packet + packet + NEXT) == {ID}
    long = BODY + bytes(300 - len(BODY))
    two = b"\xc1" + bytes([192 + ((300 - 192) >> 8), (300 - 192) & 255]) + long
    assert recipients_of(two + NEXT) == {ID}


def test_version_6_names_a_fingerprint() -> None:
    fingerprint = bytes(range(32))
    body = b"\x06\x21\x06" + fingerprint + b"\x19rest"
    packet = b"\xc1" + bytes([len(body)]) + body
    assert recipients_of(packet) == {fingerprint.hex().upper()[:16]} == {key_id(fingerprint.hex())}
    assert key_id("ab" * 20) == "AB" * 8


def test_what_is_cut_short_names_nobody() -> None:
    packet = b"\xc1" + bytes([len(BODY)]) + BODY
    assert all(recipients_of(packet[:cut]) == frozenset() for cut in range(len(packet)))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_harm(data: bytes) -> None:
    for head in (b"", b"\xc1", b"\xc1\x0d\x03", b"\x84\x0d\x03"):
        recipients_of(head + data)
