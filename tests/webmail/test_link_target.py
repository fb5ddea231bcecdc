"""Where a link leads, and whether its text names another place."""

from __future__ import annotations

import pytest

from postamt_sync.webmail.link_target import LinkTarget

BANK = LinkTarget("https://bank.example/login")


@pytest.mark.parametrize("beside", ["", "Gr\u00fc\u00dfe "], ids=["ASCII", "other letters"])
def test_what_is_not_seen_parts_no_name(beside: str) -> None:
    parted = {code for code in range(128) if BANK.pretends_in(f"{beside}ba{chr(code)}nk.example")}
    unseen = {*range(32), 127} - {ord("\t"), ord("\n")}
    seen = set(range(128)) - unseen
    assert not parted & unseen
    assert {ord(each) for each in "\t\n /:@xX0-."} <= parted <= seen


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\u0301", "\u2060"])
def test_so_is_what_has_no_width_elsewhere(unseen: str) -> None:
    assert BANK.pretends_in(f"https://e{unseen}vil.example") is True
    assert BANK.pretends_in(f"ba{unseen}nk.example") is (unseen == "\u0301")
