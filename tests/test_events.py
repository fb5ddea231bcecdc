"""The names and fields of log events, which searches, alerts and dashboards of others depend on."""

from __future__ import annotations

import ast
import inspect
import itertools
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.events import Events
from tests.doubles.inbox import MemoryLog
from tests.support.syntax import nodes

PACKAGE = Path(__file__).parents[1] / "postamt_sync"

EVENTS = {
    "a mailbox cannot be read": "mailbox, reason",
    "a mailbox cannot be used": "mailbox, reason",
    "absent since the ledger was rebuilt, taken for deleted": "mail, mailboxes",
    "alerts cannot be written": "reason",
    "an alert cannot be delivered yet": "cause, mail, reason",
    "an object cannot be restored": "mail, reason",
    "announced": "key, mail, source",
    "archived": "mail, storage_class",
    "asking for announcements": "topic, url",
    "cannot accept connections": "reason",
    "cannot answer a request": "reason",
    "changed in the bucket, looking again": "mail",
    "changed, but takes effect at the next start only": "sections",
    "changes are noticed late": "directory, reason",
    "could not look, will try again": "reason, seconds, source",
    "could not read the queue, will try again": "reason, seconds, source",
    "delivered": "latency, mail, mailbox",
    "delivered before the last stop": "mail, mailbox",
    "delivering again, the first copy may be lost: better twice than lost": "mail, mailbox",
    "delivery stands still": "seconds",
    "envelope": "mail, recipients",
    "envelopes cannot be asked for": "reason",
    "fetched": "bytes, mail, seconds",
    "found in the Maildir after all": "mail, mailbox",
    "gone from the bucket": "mail",
    "heartbeat arrives": "host",
    "heartbeat does not arrive": "host, reason",
    "index asked": "known, mails",
    "internal error": "reason",
    "ledger copied": "copy, seconds",
    "listening": "address, tls",
    "looked": "listed, new, seconds, source",
    "metrics and status page are off": "reason",
    "new ETag, same content": "mail",
    "no longer in the configuration, kept until SIGHUP or restart": "mailbox",
    "no mail, skipped": "key, mail",
    "not reloaded, going on with the old": "reasons, what",
    "notice not understood": "reason, source",
    "notice refused": "peer, reason, status",
    "quarantined": "key, mail, reason",
    "reloaded": "what",
    "routed": "evidence, folder, mail, mailboxes",
    "showing how things stand": "url",
    (
        "somebody ended a subscription of ours; if it was not you, look who may; "
        "a restart subscribes the webhook again"
    ): "topic",
    "started": "mailboxes, seconds, version, waiting",
    "stopped": "",
    "stopping": "signal",
    "subscription confirmed": "subscription",
    "subscription not confirmed, will try again": "reason, seconds",
    "taken, but still in the queue": "count, source",
    "test event": "source",
    "the books cannot be kept": "reason",
    "the index cannot be asked, will try again": "reason, seconds",
    "the ledger cannot be copied": "reason",
    "the ledger cannot be opened, will try again": "reason, seconds",
    "the ledger cannot be written": "reason",
    "the ledger is damaged, and set aside": "reason, set_aside",
    "the ledger is in its place again": "",
    "the ledger is lost or old, rebuilding it from the Maildirs": "names",
    "the ledger is rebuilt": "absent, only_at_home, waiting",
    "the ledger was lost, its copy is brought back": "copy, seconds",
    (
        "the ledger was taken away while it was in use; nothing is acknowledged until it is back"
    ): "what",
    "the machine slept": "seconds",
    "the metrics of SES cannot be read": "reason",
    "the open ledger cannot be saved": "reason",
    "the open ledger cannot be saved, will try again": "reason",
    "the open ledger is saved": "saved",
    "the saved ledger is in place again": "merged, saved, set_aside",
    "told the person": "cause, mail",
    "waiting for the envelope": "mail, seconds",
    "what waits cannot be hurried": "reason",
    "will try again": "mail, mailbox, reason, seconds",
}
"""Fields by event. Adding an event or a field is fine, changing or removing one is not."""


def samples(kind: Any, text: str) -> list[Any]:
    """Return values of an annotated type that lead to every form of an event."""
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return [value for one in typing.get_args(kind) for value in samples(one, text)]
    if origin in {list, Sequence}:
        return [[text]]
    values: dict[Any, list[Any]] = {
        str: [text],
        int: [0, 7],
        float: [1.5],
        bool: [True, False],
        type(None): [None],
        BaseException: [RuntimeError(text)],
    }
    return values[kind]


def methods() -> Iterator[str]:
    for name, _ in inspect.getmembers(Events, inspect.isfunction):
        if not name.startswith("_"):
            yield name


def said_by(name: str, text: str) -> set[tuple[str, tuple[str, ...]]]:
    """Return what a method of Events says: names, each with its fields."""
    log = MemoryLog()
    method = getattr(Events(log), name)
    hints = typing.get_type_hints(method)
    parameters = inspect.signature(method).parameters
    for values in itertools.product(*(samples(hints[p], text) for p in parameters)):
        method(**dict(zip(parameters, values, strict=True)))
    return {(event, tuple(sorted(fields))) for _, event, fields in log.said}


def said_by_all(text: str) -> set[tuple[str, tuple[str, ...]]]:
    return {event for name in methods() for event in said_by(name, text)}


def test_events_and_their_fields_stay_as_they_are() -> None:
    now = dict(said_by_all("x"))
    for event, fields in EVENTS.items():
        assert event in now, f"{event!r} is gone or renamed"
        lost = set(fields.split(", ")) - {"", *now[event]}
        assert not lost, f"{event!r} has lost {lost}"


@pytest.mark.parametrize("method", list(methods()))
def test_the_name_of_an_event_is_fixed(method: str) -> None:
    """What differs from case to case is a field, or nobody could search for it."""
    assert said_by(method, "one") == said_by(method, "two")


def test_nothing_else_logs() -> None:
    """All that is said is said by Events; `logs` only passes on what libraries say."""
    for module in PACKAGE.rglob("*.py"):
        if not any(name in module.read_text() for name in ("logging", "structlog")):
            continue  # to read it as Python takes a hundred times as long
        names = {
            alias.name
            for node in nodes(module)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        if names & {"logging", "structlog"}:
            assert module.relative_to(PACKAGE).as_posix() in {"logs.py", "demo/emulator.py"}, module
