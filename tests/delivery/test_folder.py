from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imapclient import imap_utf7

from postamt_sync.delivery.folder import LONGEST_DIRECTORY, folder_name, folder_of
from postamt_sync.errors import MisconfiguredError


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Junk", "Junk"),
        ("Lists/announce", "Lists.announce"),
        ("Two words", "Two words"),
        ("A&B", "A&-B"),
        ("B\u00fccher", "B&APw-cher"),
        ("Gr\u00f6\u00dfe/\u00c4rger & Co", "Gr&APYA3w-e.&AMQ-rger &- Co"),
        ("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e", "~peter.mail.&U,BTFw-.&ZeVnLIqe-"),
        ("\U0001f4ee", "&2D3c7g-"),
    ],
)
def test_names_on_disk(folder: str, name: str) -> None:
    assert folder_name(folder) == name


printable = st.characters(
    codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="./"
) | st.sampled_from(" &-+,")


@given(st.lists(st.text(printable, min_size=1, max_size=6), min_size=1, max_size=4))
def test_each_level_is_what_a_mail_client_would_write(levels: list[str]) -> None:
    expected = ".".join(imap_utf7.encode(level).decode("ascii") for level in levels)
    assert folder_name("/".join(levels)) == expected


@pytest.mark.parametrize(
    "folder",
    [
        "",
        "/",
        "/Junk",
        "Junk/",
        "a//b",
        ".",
        "..",
        "../..",
        "a.b",
        "a\nb",
        "a\0b",
        "\x7f",
        "\ud800",
    ],
)
def test_names_that_no_maildir_holds_are_refused(folder: str) -> None:
    with pytest.raises(MisconfiguredError, match="cannot be kept") as refused:
        folder_name(folder)
    assert "Lists/Club" in refused.value.hint


def test_a_folder_fits_into_a_directory_entry() -> None:
    assert len(folder_name("x" * LONGEST_DIRECTORY)) == LONGEST_DIRECTORY
    with pytest.raises(MisconfiguredError, match="too long"):
        folder_name("x" * (LONGEST_DIRECTORY + 1))
    with pytest.raises(MisconfiguredError, match="too long"):
        folder_name("\u00fc" * 100)


@given(st.text(max_size=40))
def test_no_name_leads_out_of_the_mailbox(folder: str) -> None:
    try:
        name = folder_name(folder)
    except MisconfiguredError:
        return
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith(".")
    assert name.isascii()


@given(st.lists(st.text(printable, min_size=1, max_size=6), min_size=1, max_size=4))
def test_a_name_on_disk_is_read_again(levels: list[str]) -> None:
    folder = "/".join(levels)
    assert folder_of(folder_name(folder)) == folder


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        "B\u00fccher",
        "&",
        "&x",
        "&AA-",
        "&APw",
        "&2D0-",
        "&A?-",
        "&AGE-",
        "a/b",
        "&APw=",
    ],
)
def test_what_we_would_write_otherwise_is_no_folder_of_ours(name: str) -> None:
    assert folder_of(name) is None


@given(st.text(max_size=20))
def test_any_directory_is_read_or_refused(name: str) -> None:
    folder = folder_of(name)
    assert folder is None or folder_name(folder) == name
