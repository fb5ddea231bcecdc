"""The status page: one HTML document without script, and without anything from elsewhere.

Every value is escaped by the template engine, foreign text is made printable before. The style is
named in the policy by its hash, so that markup which got in all the same could neither run nor
load, nor look like ours.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from postamt_sync import __version__
from postamt_sync.events import printable
from postamt_sync.ledger import ObjectState
from postamt_sync.ledger.history import Latencies
from postamt_sync.plural import count
from postamt_sync.status.durations import ago, bound, in_words, span
from postamt_sync.status.report import Runtime, StatusReport

REFRESH = 60
"""Seconds after which the browser loads the page again."""
LONGEST_KEY = 90
WAITING_SHOWN = 10
ALERTS_SHOWN = 5
CONTENT_TYPE = "text/html; charset=utf-8"

_STYLE = (files(__package__) / "page.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:;"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def render(report: StatusReport, runtime: Runtime) -> bytes:
    """Return the document; blocking, for a thread."""
    now = time.time()
    return _TEMPLATE.render(
        report=report,
        version=__version__,
        refresh=REFRESH,
        style=Markup(_STYLE),  # noqa: S704 - our own file
        now=dt.datetime.fromtimestamp(now).astimezone(),
        ago=lambda moment: _moment(moment, now),
        problems=list(_problems(report, runtime)),
        lasting=any(alert.lasting for alert in report.alerts),
        alerts=sorted(report.alerts, key=lambda alert: (not alert.lasting, -alert.at))[
            :ALERTS_SHOWN
        ],
        waiting_count=report.states[ObjectState.WAITING],
        quarantine_count=report.states[ObjectState.QUARANTINED],
        today=list(report.days.values())[-1],
        days=_bars(report.days),
        in_all=sum(report.days.values()),
        most=max(report.days.values()),
        waiting=report.waiting[:WAITING_SHOWN],
        classes=list(_classes(report.latencies)),
        pace=in_words(report.latencies),
        due=lambda waiting: _due(report.next_attempt_in(waiting)),
        short=lambda key: printable(key, LONGEST_KEY),
    ).encode()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart; place and size in hundredths of the chart's."""

    label: str
    value: int
    at: float
    width: float
    height: float


def _bars(days: dict[dt.date, int]) -> list[Bar]:
    step, most = 100 / len(days), max(1, *days.values())
    return [
        Bar(
            label=f"{day:%a} {day.day} {day:%b}",
            value=mails,
            at=round(n * step + step * 0.1, 2),
            width=round(step * 0.8, 2),
            height=round(100 * mails / most, 2),
        )
        for n, (day, mails) in enumerate(days.items())
    ]


def _classes(latencies: Latencies) -> Iterator[Bar]:
    most = max(1, *latencies.copies.values())
    for within, copies in latencies.copies.items():
        label = f"up to {bound(within)}" if math.isfinite(within) else "longer"
        yield Bar(label, copies, 0, round(100 * copies / most, 2), 100)


def _problems(report: StatusReport, runtime: Runtime) -> Iterator[str]:
    """Name everything that wants somebody's attention, the gravest first."""
    if runtime.trouble:
        yield f"The bucket cannot be read: {report.line.complete(runtime.trouble)}"
    for source in report.sources:
        if source.problem:
            yield f"{source.source}: {source.problem}"
    for health in report.mailboxes:
        if health.problem:
            yield f"Mailbox {health.mailbox}: {health.problem}"
    if quarantined := report.states[ObjectState.QUARANTINED]:
        yield f"{count(quarantined, 'mail')} quarantined."
    if runtime.heartbeat_failing:
        yield "The heartbeat does not arrive where poll.heartbeat_url leads."


def _moment(moment: float | None, now: float) -> Markup:
    if moment is None:
        return Markup("never")
    exact = dt.datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, ago(moment, now))


def _due(seconds: float | None) -> str:
    if seconds is None:
        return "due when the daemon runs"
    return f"next attempt in {span(seconds)}" if seconds >= 1 else "due now"


def _finalized(value: Any) -> Any:
    return printable(value) if type(value) is str else value


_TEMPLATE = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_finalized,
    trim_blocks=True,
    lstrip_blocks=True,
).from_string((files(__package__) / "page.html").read_text())
