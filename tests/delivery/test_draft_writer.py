"""Step 1 for one mail: its copies written side by side."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from postamt_sync.delivery.draft_writer import DraftWriter
from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.delivery.pending_mail import (
    FetchedMail,
    MailboxTarget,
    WrittenMail,
    no_observer,
)
from postamt_sync.errors import TryLaterError
from tests.delivery.home import Home
from tests.delivery.test_publisher import BODY, SHA, routed

EXTRA = b"Delivered-To: anna@home.example\r\n"


@pytest.fixture(autouse=True)
def _made(home: Home) -> None:
    for name in home.people:
        home.mailboxes.ready(name)


def drafts(home: Home, *addressees: MailboxTarget, folder: str = "") -> DraftWriter:
    mail = replace(routed(home, "k", *home.people, folder=folder), addressees=addressees)
    return DraftWriter(mail, no_observer)


def names(written: WrittenMail) -> list[str]:
    return [copy.mailbox for copy in written.copies]


def test_every_copy_has_the_bytes_and_its_own_extra_headers_once(home: Home) -> None:
    writer = drafts(home, MailboxTarget("anna", extra_headers=EXTRA), MailboxTarget("bruno"))
    writer.open(BODY[:3])
    for byte in BODY[3:]:
        writer.write([bytes([byte])])
    anna, bruno = writer.finish(SHA).copies
    for copy, content in ((anna, EXTRA + BODY), (bruno, BODY)):
        assert (copy.maildir.root / "tmp" / copy.delivery.stem).read_bytes() == content
        assert f",S={len(content)},W={len(content)}" in copy.delivery.name
        assert copy.delivery.sha256 == SHA
        assert copy.delivery.tmp_inode == (copy.maildir.root / "tmp").stat().st_ino


@pytest.mark.parametrize("call", ["create", "write", "sync"])
def test_one_that_fails_stops_no_other_and_leaves_nothing(home: Home, call: str) -> None:
    home.disk.break_(call, errno.ENOSPC, below=home.root("anna"))
    writer = drafts(home, MailboxTarget("anna"), MailboxTarget("bruno"))
    writer.open(BODY)
    written = writer.finish(SHA)
    assert names(written) == ["bruno"]
    assert list(written.failed) == ["anna"]
    assert home.drafts("anna") == []
    assert len(home.drafts("bruno")) == 1
    assert home.disk.open_files == []


def test_where_all_fail_there_is_nothing_to_go_on_with(home: Home) -> None:
    home.disk.break_("write", errno.ENOSPC)
    writer = drafts(home, MailboxTarget("anna"), MailboxTarget("bruno"))
    writer.open(BODY)
    assert not writer.has_copies
    assert sorted(writer.failed) == ["anna", "bruno"]
    assert home.drafts("anna") == home.drafts("bruno") == []


def test_a_mailbox_that_has_the_content_gets_no_copy(home: Home) -> None:
    writer = drafts(home, MailboxTarget("anna"), MailboxTarget("bruno"))
    writer.open(BODY)
    written = writer.finish(SHA, {"anna"})
    assert (names(written), written.failed) == (["bruno"], {})
    assert home.drafts("anna") == []


@pytest.mark.parametrize("finished", [False, True])
def test_what_is_discarded_leaves_no_file_and_none_open(home: Home, finished: bool) -> None:
    writer = drafts(home, MailboxTarget("anna"), MailboxTarget("bruno"))
    writer.open(BODY)
    if finished:
        writer.finish(SHA)
    writer.discard()
    assert home.drafts("anna") == home.drafts("bruno") == []
    assert home.disk.open_files == []


def test_an_earlier_copy_that_is_stuck_is_told_with_what_fails_now(home: Home) -> None:
    stuck = TryLaterError("stuck")
    mail = replace(routed(home, "k", "bruno"), owed={"anna": stuck})
    writer = DraftWriter(mail, no_observer)
    writer.open(BODY)
    assert writer.finish(SHA).failed == {"anna": stuck}


def test_giving_up_names_every_mailbox_and_touches_no_file(home: Home) -> None:
    """Whatever comes up, a mail is never taken for done."""
    error = TryLaterError("a bug")
    mail = routed(home, "k", "anna", "bruno")
    small = FetchedMail(replace(mail, owed={"carla": error}), BODY, SHA).gave_up(error)
    assert sorted(small.failed) == ["anna", "bruno", "carla"]
    writer = DraftWriter(mail, no_observer)
    writer.open(BODY)
    large = writer.finish(SHA).without({"anna": MailboxVanishedError("gone")}).gave_up(error)
    assert isinstance(large.failed["anna"], MailboxVanishedError)
    assert large.failed["bruno"] is error
    assert (small.delivered, large.delivered) == ((), ())
    assert len(home.drafts("bruno")) == 1
