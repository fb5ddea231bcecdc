"""The status page: one HTML document without script, and without anything from elsewhere.

The template engine escapes every value, and foreign text is made printable first. The policy names
the style by its hash, so that markup which got in all the same could neither run nor load anything,
nor look like ours.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from postamt_sync import __version__
from postamt_sync.config.command import commands_in
from postamt_sync.events import printable
from postamt_sync.ledger import ObjectState
from postamt_sync.ledger.history import Latencies
from postamt_sync.ledger.incidents import Incident
from postamt_sync.ledger.overview import Waiting
from postamt_sync.quantities import size_in_words, span
from postamt_sync.status.durations import ago, bound, in_words
from postamt_sync.status.moments import local_time, utc_time
from postamt_sync.status.report import Runtime, StatusReport
from postamt_sync.status.troubles import Troubles

REFRESH = 60
"""Seconds after which the browser reloads the page."""
LONGEST_KEY = 90
LONGEST_TEXT = 4_000
PACES = (2.0, 10.0, 60.0, 900.0, math.inf)
"""Seconds; a selection of the bounds by which latencies are counted."""
WAITING_SHOWN = 10
ALERTS_SHOWN = 5
CONTENT_TYPE = "text/html; charset=utf-8"

STYLE = (files(__package__) / "page.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:;"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def render(report: StatusReport, runtime: Runtime) -> bytes:
    """Return the document. Blocking."""
    now = time.time()
    troubles = Troubles(report, runtime)
    shown_alerts = list(_alerts(report))[:ALERTS_SHOWN]
    return (
        TEMPLATES.get_template("page.html")
        .render(
            report=report,
            runtime=runtime,
            version=__version__,
            refresh=REFRESH,
            style=Markup(STYLE),  # noqa: S704 - our own file
            now=dt.datetime.fromtimestamp(now).astimezone(),
            ago=lambda moment: _moment(moment, now),
            span=span,
            troubles=list(troubles),
            told=troubles.tell,
            lasting=any(alert.lasting for alert in report.alerts),
            alerts=shown_alerts,
            alerts_left=len(report.alerts) - sum(times for _, times in shown_alerts),
            waiting_count=report.states[ObjectState.WAITING],
            quarantine_count=report.states[ObjectState.QUARANTINED],
            today=list(report.days.values())[-1],
            days=_bars(report.days),
            in_all=sum(report.days.values()),
            most=max(report.days.values()),
            waiting=list(_grouped(report.waiting[:WAITING_SHOWN])),
            waiting_shown=min(len(report.waiting), WAITING_SHOWN),
            paces=list(_paces(report.latencies)),
            classes=list(_classes(report.latencies)),
            pace=in_words(report.latencies),
            due=lambda waiting: _due(report.next_attempt_in(waiting)),
            size=size_in_words,
            until=lambda moment: span(moment - now) if moment - now >= 1 else "now",
            short=lambda key: printable(key, LONGEST_KEY),
        )
        .encode()
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart; position and size in percent of the chart's."""

    label: str
    value: int
    at: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Pace:
    """A part of the bar of latencies; position and width in percent, `kind` is its colour."""

    label: str
    copies: int
    at: float
    width: float
    kind: str


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


def _paces(latencies: Latencies) -> Iterator[Pace]:
    """Yield the parts of the bar: how many copies took at most how long."""
    total, at, lower = latencies.total, 0.0, 0.0
    for number, upper in enumerate(PACES):
        copies = sum(n for within, n in latencies.copies.items() if lower < within <= upper)
        lower = upper
        if not copies:
            continue
        width = 100 * copies / total
        label = f"up to {bound(upper)}" if math.isfinite(upper) else "longer"
        yield Pace(label, copies, round(at, 2), round(width, 2), f"pace{number}")
        at += width


def _alerts(report: StatusReport) -> Iterator[tuple[Incident, int]]:
    """Yield each alert with its number of repetitions; lasting ones first, then newest first."""
    same: dict[tuple[str, str], list[Incident]] = {}
    for alert in sorted(report.alerts, key=lambda alert: (not alert.lasting, -alert.at)):
        same.setdefault((alert.cause, alert.detail), []).append(alert)
    yield from ((alerts[0], len(alerts)) for alerts in same.values())


def _grouped(waiting: Sequence[Waiting]) -> Iterator[tuple[str, list[Waiting]]]:
    """Yield what waits, grouped by what it waits for, so that a cause is shown once."""
    groups: dict[str, list[Waiting]] = {}
    for mail in waiting:
        groups.setdefault(mail.problem or "", []).append(mail)
    yield from groups.items()


def whole(text: str) -> Markup:
    """Return a text in full length, with its commands marked so that they can be copied."""
    safe = printable(text, LONGEST_TEXT)
    parts, done = [], 0
    for start, end in commands_in(safe):
        end = start + len(safe[start:end].rstrip(".,;:"))  # noqa: PLW2901 - of the sentence
        parts += [escape(safe[done:start]), Markup("<code>{}</code>").format(safe[start:end])]
        done = end
    return Markup("").join([*parts, escape(safe[done:])])


def _moment(moment: float | None, now: float) -> Markup:
    if moment is None:
        return Markup("never")
    exact, when = utc_time(moment), local_time(moment)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, when, ago(moment, now))


def _due(seconds: float | None) -> str:
    if seconds is None:
        return "due when the daemon runs"
    return f"next attempt in {span(seconds)}" if seconds >= 1 else "due now"


def _finalized(value: Any) -> Any:
    return printable(value) if type(value) is str else value


TEMPLATES = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_finalized,
    trim_blocks=True,
    lstrip_blocks=True,
    loader=jinja2.FunctionLoader(lambda name: (files(__package__) / name).read_text()),
)
TEMPLATES.filters["whole"] = whole
TEMPLATES.filters["plain"] = lambda text: escape(printable(text, LONGEST_TEXT))
