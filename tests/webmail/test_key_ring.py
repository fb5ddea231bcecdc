"""Keys that are read back as they were written, and that a rotation keeps for a while."""

from __future__ import annotations

import pytest

from postamt_sync.webmail.key_ring import KeyRing


def test_it_is_read_back_and_each_is_another() -> None:
    ring = KeyRing.new()
    assert KeyRing.from_text(ring.to_text()) == ring
    assert len(ring.keys[0]) == 32
    assert KeyRing.new() != ring


def test_a_rotation_keeps_the_last_one_and_no_older_one() -> None:
    first = KeyRing.new()
    second = first.rotated()
    third = second.rotated()
    assert second.keys[1:] == first.keys
    assert third.keys[1:] == second.keys[:1]
    assert not set(third.keys) & set(first.keys)
    assert KeyRing.from_text(third.to_text()) == third


def test_a_header_can_bear_each_word() -> None:
    for word in KeyRing.new().rotated().words:
        assert word.isascii()
        assert word.replace("-", "").replace("_", "").rstrip("=").isalnum()


@pytest.mark.parametrize("text", ["", " ", "short", "ä" * 44, "AAAA", "=" * 44, "A" * 43 + "!"])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^these are no keys$"):
        KeyRing.from_text(text)


def test_it_shows_no_key_to_whoever_prints_it() -> None:
    ring = KeyRing.new()
    for shown in (repr(ring), str(ring), f"{[ring]}"):
        assert ring.words[0] not in shown
        assert repr(ring.keys[0]) not in shown
