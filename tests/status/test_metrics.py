"""`/metrics`, read by Prometheus's own parser."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from postamt_sync.config import Settings
from postamt_sync.ledger import Ledger
from postamt_sync.status.metrics import render
from postamt_sync.status.report import Runtime
from postamt_sync.status.report_cache import read_report_apart
from tests.status.seeded import LATENCIES, a_good_month, deliver, everything_wrong
from tests.support.documentation import documentation

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: bytes) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"postamt_sync_{name}", frozenset(labels.items())]


def scrape(settings: Settings, runtime: Runtime | None = None) -> Samples:
    return samples(render(read_report_apart(settings), runtime or Runtime()))


def test_an_empty_ledger_has_metrics_too(settings: Settings, ledger: Ledger) -> None:
    found = scrape(settings)
    assert value(found, "mails", state="waiting") == 0
    assert value(found, "mailbox_delivered_total", mailbox="bruno") == 0
    assert value(found, "delivery_latency_seconds_count") == 0
    assert not [name for name, _ in found if "last_delivery" in name or "heartbeat" in name]


def test_metrics_tell_what_the_ledger_knows(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    everything_wrong(ledger)
    found = scrape(settings)
    assert value(found, "mails", state="waiting") == 26
    assert value(found, "mails", state="quarantined") == 1
    assert value(found, "mailbox_waiting", mailbox="bruno") == 1
    assert value(found, "mailbox_delivered_total", mailbox="bruno") == len(LATENCIES)
    assert value(found, "mailbox_last_delivery_timestamp_seconds", mailbox="anna") > 1e9
    assert value(found, "source_failing", source="webhook") == 1
    assert value(found, "source_failing", source="poll") == 0
    assert value(found, "source_last_success_timestamp_seconds", source="poll") > 1e9
    assert value(found, "notices_not_understood") == 1
    assert value(found, "alerts", cause="bounces") == 12
    assert value(found, "alerts", cause="complaints") == 0
    assert found["process_resident_memory_bytes", frozenset()] > 1e6


def test_the_histogram_adds_up(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    found = scrape(settings)
    name = "postamt_sync_delivery_latency_seconds_bucket"
    buckets = {
        float(dict(labels)["le"]): count for (each, labels), count in found.items() if each == name
    }
    counts = [buckets[bound] for bound in sorted(buckets)]
    assert counts == sorted(counts)
    copies = sum(2 if number % 2 else 1 for number in range(len(LATENCIES)))
    assert counts[-1] == copies == value(found, "delivery_latency_seconds_count")
    assert value(found, "delivery_latency_seconds_sum") > sum(LATENCIES)


def test_counters_from_the_ledger_only_grow(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    before = scrape(settings)
    deliver(ledger, "incoming/one-more", 3.0, "anna")
    after = scrape(settings)
    grown = Counter[str]()
    for (name, labels), count in before.items():
        if name.startswith("postamt_sync") and name.endswith(("_total", "_bucket", "_count")):
            assert after[name, labels] >= count, name
            grown[name] += int(after[name, labels] - count)
    assert grown["postamt_sync_mailbox_delivered_total"] == 1
    assert grown["postamt_sync_delivery_latency_seconds_count"] == 1


def test_what_only_the_daemon_knows(settings: Settings, ledger: Ledger) -> None:
    runtime = Runtime(
        mails=3,
        bytes=2**40 + 1,
        trouble="Access denied.",
        notifications_taken={"stored": 4, "not understood": 1},
        notifications_refused={403: 9},
        heartbeat_failing=True,
    )
    found = scrape(settings, runtime)
    assert value(found, "settled_mails_total") == 3
    assert value(found, "settled_bytes_total") == 2**40 + 1
    assert value(found, "bucket_readable") == 0
    assert value(found, "webhook_taken_total", outcome="not understood") == 1
    assert value(found, "webhook_refused_total", status="403") == 9
    assert value(found, "heartbeat_failing") == 1
    assert value(scrape(settings), "bucket_readable") == 1


def test_a_label_may_be_any_text(settings: Settings, ledger: Ledger) -> None:
    """A mailbox that the ledger remembers had its name from an older configuration."""
    odd = 'a"b\\c\nd{e}=\u202e'
    deliver(ledger, "incoming/a", 1.0, odd)
    assert value(scrape(settings), "mailbox_delivered_total", mailbox=odd) == 1


@pytest.mark.parametrize("private", ["incoming", "@", "example.com", "<script", "encrypted"])
def test_no_address_key_or_reason_is_told(settings: Settings, ledger: Ledger, private: str) -> None:
    a_good_month(ledger, settings.state_dir)
    everything_wrong(ledger)
    trouble = Runtime(trouble="s3://mail/incoming/a: encrypted for anna@example.com <script>")
    assert private not in render(read_report_apart(settings), trouble).decode()


def test_what_the_readme_names_is_there(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    text = render(read_report_apart(settings), Runtime()).decode()
    there = {family.name for family in text_string_to_metric_families(text)}
    named = set(re.findall(r"postamt_sync_[a-z_]*[a-z]", documentation()))
    assert len(named) > 4
    assert named <= there
