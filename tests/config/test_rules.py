from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.conftest import MINIMAL, ONE_MAILBOX, WEBHOOK, Read, Report

ANNA = {
    "name": '"anna"',
    "maildir": '"/mail/anna"',
    "addresses": '["a@example.com"]',
    "default": "true",
}
BEN = {"name": '"ben"', "maildir": '"/mail/ben"', "addresses": '["b@example.com"]'}


def mailboxes(*entries: dict[str, str]) -> str:
    return MINIMAL + "".join(
        "[[mailboxes]]\n" + "".join(f"{name} = {value}\n" for name, value in entry.items())
        for entry in entries
    )


def only(report: Report, text: str) -> tuple[str, str]:
    (problem,) = report(text)
    return problem.key, problem.wrong


def test_two_mailboxes(report: Report) -> None:
    assert report(mailboxes(ANNA, BEN)) == []


@pytest.mark.parametrize(
    ("prefix", "recent", "good"),
    [
        ("incoming/", "recent/", True),
        ("incoming/", "incoming/", True),
        ("incoming/", "", True),
        ("", "", True),
        ("in/", "incoming/", True),
        ("incoming/", "incoming/recent/", False),
        ("recent/all/", "recent/", False),
        ("", "recent/", False),
    ],
)
def test_prefixes(report: Report, prefix: str, recent: str, good: bool) -> None:
    lines = f'prefix = "{prefix}"\nrecent_prefix = "{recent}"\n'
    found = report(MINIMAL + lines + ONE_MAILBOX)
    assert [p.key for p in found] == ([] if good else ["bucket.recent_prefix"])


@pytest.mark.parametrize(
    ("given", "missing"), [("tls_key", "tls_certificate"), ("tls_certificate", "tls_key")]
)
def test_certificate_and_key_come_together(report: Report, given: str, missing: str) -> None:
    key, wrong = only(report, MINIMAL + WEBHOOK + f'{given} = "/a.pem"\n' + ONE_MAILBOX)
    assert key == f"webhook.{missing}"
    assert wrong.startswith("is missing: certificate and key are given both, or neither")


@pytest.mark.parametrize(
    ("url", "path", "good"),
    [
        ("https://h.example.com/sns", "/sns", True),
        ("http://h.example.com:80/a/b", "/a/b", True),
        ("https://h.example.com", "/", True),
        ("https://h.example.com/sns/", "/sns", False),
        ("https://h.example.com/proxy/sns", "/sns", False),
        ("https://h.example.com", "/sns", False),
    ],
)
def test_notifications_must_arrive(report: Report, url: str, path: str, good: bool) -> None:
    webhook = WEBHOOK.replace("https://home.example.com:8443/sns", url) + f'path = "{path}"\n'
    found = report(MINIMAL + webhook + ONE_MAILBOX)
    assert [p.key for p in found] == ([] if good else ["webhook.public_url"])


def test_an_address_listens_once(report: Report) -> None:
    listen = 'listen = ["0.0.0.0:1", "[::]:1", "0.0.0.0:1"]\n'
    assert only(report, MINIMAL + WEBHOOK + listen + ONE_MAILBOX) == (
        "webhook.listen[#3]",
        "stands twice: 0.0.0.0:1.",
    )


def test_any_free_port_may_stand_twice(report: Report) -> None:
    listen = 'listen = ["127.0.0.1:0", "127.0.0.1:0"]\n[admin]\nlisten = "127.0.0.1:0"\n'
    assert report(MINIMAL + WEBHOOK + listen + ONE_MAILBOX) == []


def test_admin_and_webhook_apart(report: Report) -> None:
    listen = 'listen = "127.0.0.1:1"\n[admin]\nlisten = "127.0.0.1:1"\n'
    assert only(report, MINIMAL + WEBHOOK + listen + ONE_MAILBOX)[0] == "admin.listen"


def test_queues_apart(report: Report) -> None:
    url = '"https://sqs.eu-west-1.amazonaws.com/1/a"'
    text = f"{MINIMAL}{WEBHOOK}[queue]\nurl = {url}\ndead_letter_url = {url}\n{ONE_MAILBOX}"
    assert only(report, text) == ("queue.dead_letter_url", "must be another queue than url.")


@pytest.mark.parametrize("option", ["url", "dead_letter_url"])
def test_a_queue_without_a_webhook_needs_its_topic(report: Report, option: str) -> None:
    queue = f'[queue]\n{option} = "https://sqs.eu-west-1.amazonaws.com/1/a"\n'
    key, wrong = only(report, MINIMAL + queue + ONE_MAILBOX)
    assert key == "queue.topic_arn"
    assert "the one topic that is believed" in wrong
    topic = 'topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"\n'
    assert report(MINIMAL + queue + topic + ONE_MAILBOX) == []
    assert report(MINIMAL + WEBHOOK + queue + ONE_MAILBOX) == []
    assert report(MINIMAL + WEBHOOK + queue + topic + ONE_MAILBOX) == []
    key, wrong = only(report, MINIMAL + WEBHOOK + queue + topic.replace("mt", "x") + ONE_MAILBOX)
    assert key == "queue.topic_arn"
    assert wrong.startswith("must be the topic of the webhook")


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


def test_rules_are_kept_quiet_by_what_could_not_be_read(report: Report) -> None:
    """No guess about the prefix, the other rules are still applied."""
    text = mailboxes(ANNA | {"maildir": "3"}, BEN | {"default": "true"}).replace(
        '[bucket]\nname = "mail-bucket"', '[bucket]\nprefix = "/x"\nrecent_prefix = "recent/"'
    )
    assert [p.key for p in report(text)] == [
        "bucket.prefix",
        "bucket.name",
        "mailboxes[anna].maildir",
        "mailboxes[ben].default",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            MINIMAL + 'prefix = "/x"\nrecent_prefix = "incoming/x/"\n' + ONE_MAILBOX,
            "bucket.prefix",
        ),
        (mailboxes(ANNA | {"default": "3"}, BEN), "mailboxes[anna].default"),
    ],
)
def test_no_rule_takes_a_default_for_what_could_not_be_read(
    report: Report, text: str, key: str
) -> None:
    assert only(report, text)[0] == key


def test_a_missing_section_keeps_no_other_rule_quiet(read: Read, report: Report) -> None:
    found = report(mailboxes(ANNA, BEN | {"default": "true"}).replace("[bucket]", "[index]"))
    assert [p.key for p in found] == [
        "index.name",
        "mailboxes[ben].default",
        "bucket",
    ]


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
