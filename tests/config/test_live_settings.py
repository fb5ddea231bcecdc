"""What a reload changes for everybody who reads, and what stays as it was at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postamt_sync.config import Settings
from tests.support.live_settings import live_settings

TOPIC = "arn:aws:sns:eu-west-1:123456789012:postamt"
WEBHOOK = {"public_url": "https://home.example.com/sns", "topic_arn": TOPIC}


def configured(**sections: Any) -> Settings:
    return live_settings(**sections).current


def test_all_that_can_change_is_read_again() -> None:
    live = live_settings()
    live.replace(
        configured(
            poll={"interval": 60, "heartbeat_url": "https://hc.example.com/x"},
            delivery={"junk_folder": "Spam"},
            alerts={"disk": False},
        ),
        may_remove=False,
    )
    current = live.current
    assert current.poll.interval == 60
    assert current.poll.heartbeat_url == "https://hc.example.com/x"
    assert current.delivery.junk_folder == "Spam"
    assert "disk" not in current.alerts.wanted


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("state_dir", Path("/elsewhere")),
        ("backup_dir", Path("/elsewhere")),
        ("aws", {"region": "us-east-1"}),
        ("bucket", {"name": "another-bucket"}),
        ("queue", {"url": "https://sqs.eu-west-1.amazonaws.com/1/q", "topic_arn": TOPIC}),
        ("index", {"table": "postamt"}),
        ("admin", {"listen": ""}),
    ],
)
def test_what_takes_a_restart_is_read_as_at_the_start(section: str, value: Any) -> None:
    live = live_settings()
    before = getattr(live.current, section)
    new = configured(**{section: value})
    assert live.waiting_for_restart(new) == [section]
    live.replace(new, may_remove=True)
    assert getattr(live.current, section) == before
    assert getattr(live.for_next_start, section) == before
    assert live.waiting_for_restart(new) == [], "it is said once"


def test_of_the_webhook_certificate_and_proxies_change_and_nothing_else() -> None:
    live = live_settings(webhook=WEBHOOK)
    new = configured(
        webhook=WEBHOOK
        | {
            "path": "/other",
            "trusted_proxies": ["10.0.0.0/8"],
            "tls_certificate": "/tls/chain.pem",
            "tls_key": "/tls/key.pem",
        }
    )
    assert live.waiting_for_restart(new) == ["webhook"]
    live.replace(new, may_remove=False)
    webhook, later = live.current.webhook, live.for_next_start.webhook
    assert webhook is not None
    assert later is not None
    assert webhook.trusted_proxies == ("10.0.0.0/8",)
    assert webhook.tls_certificate == Path("/tls/chain.pem")
    assert (webhook.path, later.path) == ("/sns", "/other")


@pytest.mark.parametrize("at_start", [True, False])
def test_a_webhook_neither_comes_nor_goes(at_start: bool) -> None:
    with_webhook, without = live_settings(webhook=WEBHOOK), live_settings()
    live, other = (with_webhook, without) if at_start else (without, with_webhook)
    live.replace(other.current, may_remove=True)
    assert (live.current.webhook is not None) is at_start
    assert (live.for_next_start.webhook is not None) is not at_start
    assert live.envelope_grace() == (900 if at_start else 0), "who is not there tells no envelope"


def test_a_mailbox_that_is_no_longer_named_is_kept_until_someone_removes_it() -> None:
    anna = {"name": "anna", "maildir": "/var/mail/anna", "default": True}
    bert = {"name": "bert", "maildir": "/var/mail/bert", "addresses": ["bert@example.com"]}
    both, one = configured(mailboxes=[anna, bert]), configured(mailboxes=[anna])
    live = live_settings(mailboxes=[anna, bert])
    live.replace(one, may_remove=False)
    live.replace(one, may_remove=False)
    assert [mailbox.name for mailbox in live.kept] == ["bert"]
    live.replace(both, may_remove=False)
    assert live.kept == (), "it came back"
    live.replace(one, may_remove=True)
    assert live.kept == ()


def test_the_place_of_the_file_is_still_known() -> None:
    live = live_settings()
    assert live.current.source == live.for_next_start.source == ""


def test_the_bandwidth_changes_by_a_reload_and_nothing_else_of_the_bucket_does() -> None:
    live = live_settings(bucket={"name": "mail-of-ours", "limit": "2M"})
    new = configured(bucket={"name": "mail-of-ours", "limit": "500k"})
    assert live.waiting_for_restart(new) == []
    live.replace(new, may_remove=False)
    assert live.current.bucket.limit == live.for_next_start.bucket.limit == 500_000
    other = configured(bucket={"name": "another-bucket", "limit": ""})
    assert live.waiting_for_restart(other) == ["bucket"]
    live.replace(other, may_remove=False)
    assert (live.current.bucket.name, live.current.bucket.limit) == ("mail-of-ours", 0)
