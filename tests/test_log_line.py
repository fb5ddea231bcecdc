"""What a page says stands in no sentence, and what a sentence says does."""

from __future__ import annotations

import pytest

from postamt_sync.log_line import without_markup


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("No such key.", "No such key."),
        ("3 < 4 and 4 > 3, a<-b", "3 < 4 and 4 > 3, a<-b"),
        ("502 Bad Gateway: <html><h1>Hotel", "502 Bad Gateway"),
        ("invalid XML:\nb'<!DOCTYPE html>", "invalid XML"),
        ("<?xml version='1.0'?><a/>", ""),
        ("\ufeff<HTML>", ""),
        ("Sorry</p>", "Sorry"),
        ("Sorry &LT;p&gt;", "Sorry "),
    ],
)
def test_a_text_ends_where_a_page_begins(text: str, kept: str) -> None:
    assert without_markup(text).strip() == kept.strip()
