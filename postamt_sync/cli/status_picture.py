"""What `postamt-sync status` shows people: the report in words and tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from postamt_sync.cli.console import open_console
from postamt_sync.config import load
from postamt_sync.errors import UsageError
from postamt_sync.events import printable
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.quantities import count, span
from postamt_sync.status.durations import ago, in_words
from postamt_sync.status.report import StatusReport, read_report

LONGEST_KEY = 60
LONGEST_TEXT = 100
FEW = 5
"""Lines of each list that fit on a screen."""
EVERY = 2.0
"""Seconds between two pictures, at least."""
REST = 20.0
"""A picture stays this many times as long as it took to make, so as not to load the machine."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a list. `deeper`: it says more of the line above. `whole`: it is meant to be
    copied, so it is never wrapped or cut off."""

    text: str
    deeper: bool = False
    whole: bool = False


def picture(report: StatusReport, most: int | None = None) -> Group:
    """Return the report for people, whatever the width of the terminal.

    `most` limits the lines of each list; None for no limit.
    """
    last = report.last_mail
    counts = [f"{number} {state}" for state, number in report.states.items() if number]
    parts: list[RenderableType] = [
        Text(f"Daemon    {report.holder or 'not running'}"),
        Text(f"Last mail {_ago(last) if last else 'none yet'}"),
        Text(f"Mails     {', '.join(counts) or 'none yet'}"),
    ]
    if pace := in_words(report.latencies):
        parts.append(Text(f"Pace      {pace}"))
    parts += [Text(), _mailboxes(report)]
    sections: list[tuple[str, Iterable[str | _Line]]] = [
        ("Absent since the ledger was rebuilt", _absences(report)),
        ("Sealed, and not at home", _sealed(report)),
        ("Alerts", _alerts(report)),
        ("Sources", _sources(report)),
        ("Latest mail", _latest(report, most)),
        ("Waiting", _waiting(report, most)),
        ("Quarantine", _quarantine(report, most)),
        ("Not understood", _notifications(report)),
    ]
    for heading, lines in sections:
        if shown := [_indented(line) for line in lines]:
            parts += [Text(), Text(heading, style="bold"), *shown]
    return Group(*parts)


def _indented(line: str | _Line) -> RenderableType:
    line = _Line(line) if isinstance(line, str) else line
    if line.whole:  # Padding would cut it off
        return Text(f"  {line.text}", no_wrap=True, overflow="ignore")
    return Padding(Text(line.text.strip()), (0, 0, 0, 4 if line.deeper else 2), expand=False)


def _mailboxes(report: StatusReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Mailbox")
    table.add_column("Delivered", justify="right")
    table.add_column("Waiting", justify="right")
    table.add_column("Last mail")
    some_absent = any(m.absent for m in report.mailboxes)
    if some_absent:
        table.add_column("Absent", justify="right")
    table.add_column("Problem", overflow="fold")
    for m in report.mailboxes:
        table.add_row(
            Text(printable(m.mailbox)),
            str(m.delivered),
            str(m.waiting),
            _ago(m.last_delivered_at) if m.last_delivered_at else "none yet",
            *([str(m.absent)] if some_absent else []),
            Text(m.problem or "", style="red"),
        )
    return table


def _alerts(report: StatusReport) -> Iterator[str]:
    for cause, group in groupby(report.alerts, lambda alert: alert.cause):
        alerts = list(group)
        last = alerts[-1]
        when = f"{len(alerts)}, the last {_ago(last.at)}" if len(alerts) > 1 else _ago(last.at)
        yield f"{cause} ({when}): {printable(last.detail)}"


def _absences(report: StatusReport) -> Iterator[str | _Line]:
    for absence in report.absences:
        yield f"{printable(absence.mailbox) or 'not known whose'}: {absence.in_words()}"
    if report.absences:
        yield "Deleted by its owner, or never delivered; until verify or restore has listed it."
        yield "To bring all of it back:"
        yield _whole(report.bring_back)


def _sealed(report: StatusReport) -> Iterator[str | _Line]:
    if number := report.states[ObjectState.SEALED]:
        yield f"{count(number, 'mail')} that only the owner's key opens. To bring home:"
        yield _whole(report.line.typed("restore --only sealed"))


def _sources(report: StatusReport) -> Iterator[str]:
    for source in report.sources:
        if source.problem:
            since = f" (worked {_ago(source.ok_at)})" if source.ok_at else ""
            yield f"{source.source}: {source.problem}{since}"
        elif source.ok_at:
            detail = f"; {source.detail}" if source.detail else ""
            yield f"{source.source}: well {_ago(source.ok_at)}{detail}"


def _latest(report: StatusReport, most: int | None) -> Iterator[str]:
    for mail in report.latest[:most]:
        header = mail.header
        to = f" to {', '.join(map(printable, mail.mailboxes))}" if mail.mailboxes else ""
        state = "" if mail.state is ObjectState.DELIVERED else f", {mail.state}"
        subject = printable(header.subject, LONGEST_TEXT) or "(no subject)"
        sender = printable(header.sender, LONGEST_TEXT)
        yield f"{subject} | {sender} | {_ago(header.stored_at)}{to}{state}"


def _named(report: StatusReport, mail: str) -> Iterator[_Line]:
    """Yield a mail's subject and sender, if they are remembered."""
    header = report.headers.get(mail)
    if header is not None and (header.subject or header.sender):
        subject = printable(header.subject, LONGEST_TEXT) or "(no subject)"
        yield _Line(f"{subject} | {printable(header.sender, LONGEST_TEXT)}", deeper=True)


def _waiting(report: StatusReport, most: int | None) -> Iterator[str | _Line]:
    shown = report.waiting[:most]
    for waiting in shown:
        awaited = "its envelope may still come" if waiting.awaits_envelope else "due"
        why = waiting.problem or awaited
        seconds = report.next_attempt_in(waiting)
        when = "when the daemon runs" if seconds is None else f"next attempt in {span(seconds)}"
        key, since = printable(waiting.key, LONGEST_KEY), f"since {_ago(waiting.first_seen)}"
        if most is None:
            yield _whole(key)
            yield from _named(report, waiting.mail)
            yield _Line(f"{since}, {when}: {why}", deeper=True)
        else:  # a screen has few lines
            yield f"{key} {since}, {when}: {why}"
    more = report.states[ObjectState.WAITING] - len(shown)
    if more > 0:
        yield f"and {more} more"
    if shown and most is None:
        yield f"All that is known of one of them: {report.line.typed(f'find {shown[0].mail}')}"


def _quarantine(report: StatusReport, most: int | None) -> Iterator[str | _Line]:
    shown = report.quarantine[:most]
    for known in shown:
        key = printable(known.key, LONGEST_KEY)
        if most is None:
            yield _whole(key)
            yield from _named(report, known.mail)
            yield _Line(known.problem or "undeliverable", deeper=True)
        else:
            yield f"{key}: {known.problem or 'undeliverable'}"
    more = report.states[ObjectState.QUARANTINED] - len(shown)
    if more > 0:
        yield f"and {more} more: {report.line.typed('quarantine list')}"
    if shown and most is None:
        yield f"All that is known of one of them: {report.line.typed(f'find {shown[0].mail}')}"
    if shown:
        yield "Once the cause is fixed:"
        yield _whole(report.line.typed("quarantine retry --all"))


def _notifications(report: StatusReport) -> Iterator[str]:
    if report.notifications:
        first = report.notifications[0]
        number = len(report.notifications)
        several = f"{number} notifications, the last" if number > 1 else "1 notification,"
        yield f"{several} {_ago(first.at)}: {first.reason}"


def _whole(text: str) -> _Line:
    return _Line(text, whole=True)


def _ago(moment: float | None) -> str:
    return ago(moment, time.time())


def show(report: StatusReport) -> None:
    """Print the report once."""
    open_console().print(picture(report), crop=False)


def watch_it(config: Path | None) -> None:
    """Draw the report again and again. Raises UsageError if this is not a capable terminal."""
    console = open_console()
    refuse_watching(console)
    settings = load(config)
    ledger = Ledger.open_existing(settings.state_dir)
    try:
        watching(
            lambda: picture(read_report(settings, ledger, quarantine=FEW), most=FEW),
            console,
        )
    finally:
        ledger.close()


def refuse_watching(console: Console) -> None:
    """Raise UsageError if the console cannot redraw the screen."""
    if not console.is_terminal or console.is_dumb_terminal:
        raise UsageError(
            "--watch needs a terminal, and this is not one.", "Leave it out, or use --json."
        )


def watching(picture: Callable[[], RenderableType], console: Console) -> None:
    """Draw until Ctrl-C, then restore the screen. Raises what `picture` raises."""
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                begun = time.monotonic()
                headline = Text(f"{time.strftime('%H:%M:%S')}   Ctrl-C ends", style="dim")
                live.update(Group(headline, Text(), picture()), refresh=True)
                time.sleep(max(EVERY, REST * (time.monotonic() - begun)))
    except KeyboardInterrupt:
        return
