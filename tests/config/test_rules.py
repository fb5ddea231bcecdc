from __future__ import annotations

import pytest

from tests.config.conftest import (
    ANNA,
    BEN,
    MINIMAL,
    ONE_MAILBOX,
    WEBHOOK,
    Read,
    Report,
    mailboxes,
    only,
)


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
