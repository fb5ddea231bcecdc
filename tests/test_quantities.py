from __future__ import annotations

import pytest

from postamt_sync.quantities import count, size_in_words, span


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 mails"), (1, "1 mail"), (2, "2 mails"), (21, "21 mails")]
)
def test_only_one_is_singular(number: int, said: str) -> None:
    assert count(number, "mail") == said


def test_a_plural_of_its_own_can_be_given() -> None:
    assert (count(1, "copy", "copies"), count(0, "copy", "copies")) == ("1 copy", "0 copies")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (48 * 3600, "2 days"),
        (900 * 86_400, "900 days"),
    ],
)
def test_one_number_and_one_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        *((0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_234_567, "1.2 MB")),
        (32_000_000_000, "32.0 GB"),
    ],
)
def test_sizes_have_decimal_units(octets: int, words: str) -> None:
    assert size_in_words(octets) == words
