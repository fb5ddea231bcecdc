from __future__ import annotations

import pytest

from postamt_sync.plural import count


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 mails"), (1, "1 mail"), (2, "2 mails"), (21, "21 mails")]
)
def test_only_one_is_singular(number: int, said: str) -> None:
    assert count(number, "mail") == said


def test_a_plural_of_its_own_can_be_given() -> None:
    assert (count(1, "copy", "copies"), count(0, "copy", "copies")) == ("1 copy", "0 copies")
