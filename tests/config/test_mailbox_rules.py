from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.conftest import ANNA, BEN, MINIMAL, ONE_MAILBOX, Report, mailboxes, only


def test_two_mailboxes(report: Report) -> None:
    assert report(mailboxes(ANNA, BEN)) == []


def test_names_are_unique(report: Report) -> None:
    assert only(report, mailboxes(ANNA, BEN | {"name": '"anna"'})) == (
        "mailboxes[#2].name",
        'must be unique; "anna" is also the name of mailbox #1.',
    )


def test_two_defaults(report: Report) -> None:
    assert only(report, mailboxes(ANNA, BEN | {"default": "true"})) == (
        "mailboxes[ben].default",
        'must be true for one mailbox only; "anna" is the default.',
    )


def test_no_default(report: Report) -> None:
    expected = ("mailboxes", "must have one default, which gets what matches no address.")
    assert only(report, mailboxes(ANNA | {"default": "false"}, BEN)) == expected
    assert only(report, mailboxes(ANNA | {"default": "false"})) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a@example.com", "a@example.com"),
        ("a@example.com", "A@EXAMPLE.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        (".example.com", ".Example.com"),
        ("example.com", "example.com."),
    ],
)
def test_an_address_in_two_mailboxes(report: Report, first: str, second: str) -> None:
    entries = ANNA | {"addresses": f'["{first}"]'}, BEN | {"addresses": f'["x@y.z", "{second}"]'}
    key, wrong = only(report, mailboxes(*entries))
    assert key == "mailboxes[ben].addresses[#2]"
    assert 'is in two mailboxes: "anna" and "ben".' in wrong


def test_an_address_twice_in_one_mailbox(report: Report) -> None:
    twice = ANNA | {"addresses": '["a@example.com", "A@example.com"]'}
    assert only(report, mailboxes(twice)) == (
        "mailboxes[anna].addresses[#2]",
        '"A@example.com" stands twice in "anna".',
    )


def test_a_domain_and_an_address_of_it_are_two(report: Report) -> None:
    entries = (
        ANNA | {"addresses": '["example.com"]'},
        BEN | {"addresses": '["a@example.com", ".example.com"]'},
    )
    assert report(mailboxes(*entries)) == []


def test_only_the_default_mailbox_needs_no_address(report: Report) -> None:
    assert report(mailboxes(ANNA | {"addresses": "[]"}, BEN)) == []
    assert only(report, mailboxes(ANNA, BEN | {"addresses": "[]"}))[0] == "mailboxes[ben].addresses"


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("/mail/anna", 'is the Maildir of "anna" too.'),
        ("/mail/./x/..//anna/", 'is the Maildir of "anna" too.'),
        ("/mail/anna/.Ben", 'lies inside the Maildir of "anna".'),
        ("/mail", 'lies around the Maildir of "anna".'),
    ],
)
def test_maildirs_apart(report: Report, place: str, wrong: str) -> None:
    expected = ("mailboxes[ben].maildir", wrong)
    assert only(report, mailboxes(ANNA, BEN | {"maildir": f'"{place}"'})) == expected


def test_neighbours_with_a_common_beginning_are_apart(report: Report) -> None:
    assert report(mailboxes(ANNA, BEN | {"maildir": '"/mail/anna2"'})) == []


def test_maildirs_apart_behind_links(report: Report, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    first = ANNA | {"maildir": f'"{tmp_path}/real/anna"'}
    second = BEN | {"maildir": f'"{tmp_path}/link/anna"'}
    assert only(report, mailboxes(first, second))[1] == 'is the Maildir of "anna" too.'


@pytest.mark.parametrize("state", ["/mail/anna", "/mail/anna/state"])
def test_the_ledger_lies_outside_of_maildirs(report: Report, state: str) -> None:
    assert only(report, f'state_dir = "{state}"\n' + mailboxes(ANNA)) == (
        "state_dir",
        'must not lie inside the Maildir of "anna".',
    )


def test_a_maildir_may_lie_below_the_state_directory(report: Report) -> None:
    assert report('state_dir = "/mail"\n' + mailboxes(ANNA)) == []


@pytest.mark.parametrize(
    ("backup", "wrong"),
    [
        ("/mnt/disk/postamt", ""),
        ("/var/lib/postamt-sync", "another directory than state_dir"),
        ("/mail/anna", "inside the Maildir of"),
        ("/mail/anna/backup", "inside the Maildir of"),
    ],
)
def test_a_copy_of_the_ledger_lies_elsewhere(report: Report, backup: str, wrong: str) -> None:
    problems = report(f'backup_dir = "{backup}"\n' + mailboxes(ANNA, BEN))
    assert [(p.key, wrong in p.wrong) for p in problems] == (
        [("backup_dir", True)] if wrong else []
    )


@pytest.mark.parametrize("option", ["junk_folder", "virus_folder", "dmarc_folder"])
@pytest.mark.parametrize(
    ("folder", "good"), [("M\u00fcll", False), ("Viren.\u6bd2", False), ("[Spam] & Co", True)]
)
def test_folders_that_lmtp_can_name(report: Report, option: str, folder: str, good: bool) -> None:
    delivery = f'[delivery]\n{option} = "{folder}"\n'
    assert report(MINIMAL + delivery + ONE_MAILBOX) == []
    problems = report(MINIMAL + delivery + ONE_MAILBOX + 'delivery = "lmtp"\n')
    assert [problem.key for problem in problems] == ([] if good else [f"delivery.{option}"])
