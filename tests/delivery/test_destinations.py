"""Routes, Maildirs and folders of one configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.config import Mailbox, Settings, load
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.ledger import Ledger
from postamt_sync.mail.routing import VerdictFolders
from tests.support import household
from tests.support.new_ledger import new_ledger

DELIVERY = """
[delivery]
envelope_grace = 77
junk_folder = "Spam"
virus_folder = "Virus"
"""
QUEUE = """
[queue]
url = "https://sqs.eu-west-1.amazonaws.com/123456789012/postamt"
topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = new_ledger(tmp_path / "state")
    yield ledger
    ledger.close()


def settings(tmp_path: Path, more: str = "", brunos: str = "") -> Settings:
    text = household.configuration(tmp_path, DELIVERY + more)
    return load(household.configure(tmp_path, text + brunos), {})


def test_mail_finds_its_mailbox_and_its_folder(tmp_path: Path, ledger: Ledger) -> None:
    destinations = configured_destinations(settings(tmp_path), ledger.work)
    assert destinations.routes.mailboxes(["bruno@example.com"]) == ("bruno",)
    assert destinations.routes.mailboxes(["x@example.com", "bruno@example.com"]) == (
        "anna",
        "bruno",
    )
    assert destinations.routes.mailboxes(["nobody@elsewhere.example"]) == ("anna",)
    assert (destinations.folders.junk, destinations.folders.virus) == ("Spam", "Virus")
    assert destinations.mailboxes.names == ("anna", "bruno")


def test_without_a_source_of_envelopes_nobody_waits_for_one(tmp_path: Path, ledger: Ledger) -> None:
    assert configured_destinations(settings(tmp_path), ledger.work).envelope_grace == 0
    assert configured_destinations(settings(tmp_path, QUEUE), ledger.work).envelope_grace == 77


def test_it_knows_whether_there_is_an_index(tmp_path: Path, ledger: Ledger) -> None:
    table = '[index]\ntable = "postamt"\n'
    assert not configured_destinations(settings(tmp_path), ledger.work).has_index
    assert configured_destinations(settings(tmp_path, table), ledger.work).has_index


def test_no_disk_is_touched_before_a_mailbox_is_needed(tmp_path: Path, ledger: Ledger) -> None:
    destinations = configured_destinations(settings(tmp_path), ledger.work)
    assert not (tmp_path / "bruno").exists()
    destinations.mailboxes.ready("bruno")
    assert (tmp_path / "bruno" / "new").is_dir()
    assert not (tmp_path / "anna").exists()


def test_a_mailbox_that_is_kept_still_gets_its_mail(tmp_path: Path, ledger: Ledger) -> None:
    former = Mailbox(
        name="carl",
        maildir=tmp_path / "carl",
        addresses=("carl@example.com", "bruno@example.com"),
        default=True,
    )
    destinations = configured_destinations(settings(tmp_path), ledger.work, kept=[former])
    assert destinations.routes.mailboxes(["carl@example.com"]) == ("carl",)
    assert destinations.routes.mailboxes(["bruno@example.com"]) == (
        "bruno",
    )  # what is configured wins
    assert destinations.routes.mailboxes(["nobody@elsewhere.example"]) == ("anna",)
    assert destinations.mailboxes.ready("carl").root == tmp_path / "carl"


def test_inbox_is_a_word_for_the_inbox_and_a_dot_stands_between_levels(
    tmp_path: Path, ledger: Ledger
) -> None:
    configured = settings(tmp_path)
    delivery = configured.delivery.model_copy(
        update={"junk_folder": "inbox", "virus_folder": "INBOX", "dmarc_folder": "Lists.Forged"}
    )
    destinations = configured_destinations(
        configured.model_copy(update={"delivery": delivery}), ledger.work
    )
    assert destinations.folders == VerdictFolders("", "", "Lists/Forged")
    assert destinations.mailboxes.folders == {"", "Lists/Forged", "Sent"}


def test_tags_mean_folders_where_a_mailbox_says_so(tmp_path: Path, ledger: Ledger) -> None:
    destinations = configured_destinations(
        settings(tmp_path, brunos="tag_folders = true\n"), ledger.work
    )
    assert destinations.tagged == {"bruno"}
    assert not destinations.delivered_to
