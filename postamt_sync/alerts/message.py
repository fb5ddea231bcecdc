"""An alert as a mail (RFC 5322): plain text, marked as written by a machine (RFC 3834)."""

from __future__ import annotations

import email.policy
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from postamt_sync.alerts.texts import TEXTS
from postamt_sync.config.command import complete, fill, typed
from postamt_sync.events import printable
from postamt_sync.ledger.incidents import Incident

SHOWN = 20
"""How many incidents an alert lists; the latest ones."""
WIDTH = 72
"""Characters of a line."""

SENDER = "postamt-sync <postamt-sync@localhost>"


def compose(
    incidents: Sequence[Incident],
    mailbox: str,
    now: float,
    command: Callable[[str], str] = typed,
) -> bytes:
    """Return the mail that reports these incidents, which are all of one cause.

    `now` is in seconds since 1970. `command` returns what to type for a verb. Details are untrusted
    in part: each is shown as one printable line, and only in the body.
    """
    cause = incidents[0].cause
    words = TEXTS[cause]

    def named(text: str) -> str:
        return complete(text, lambda verb: command(verb).removeprefix("postamt-sync"))

    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = SENDER
    mail["To"] = f"{mailbox} <{mailbox}@localhost>"
    mail["Date"] = format_datetime(_local(now))
    mail["Subject"] = f"postamt-sync: {words.subject(len(incidents))}"
    mail["Message-ID"] = f"<{cause}.{now:.6f}@postamt-sync.localhost>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    latest = sorted(incidents, key=lambda trouble: trouble.at)[-SHOWN:]
    paragraphs = [
        _headline(incidents, named),
        _filled(words.meaning),
        "What to check:\n"
        + "\n".join(_filled(f"- {named(check)}", "  ") for check in words.checks),
        ("The latest of them:\n" if len(incidents) > len(latest) else "")
        + "\n".join(f"  {_moment(t.at)}  {named(printable(t.detail))}" for t in latest),
        # On a line of its own, however long, so that it can be copied.
        *([f"To bring all of it back:\n\n  {command(words.verb)}"] if words.verb else []),
        _filled(
            f"To see how things are now: {command('status')}. You get such a mail once a day at "
            f"most; {cause} = false in the section [alerts] of the configuration turns it off."
        ),
    ]
    mail.set_content("\n\n".join(paragraphs) + "\n", charset="utf-8")
    return mail.as_bytes()


def _headline(incidents: Sequence[Incident], named: Callable[[str], str]) -> str:
    words = TEXTS[incidents[0].cause]
    subject = words.subject(len(incidents))
    first, last = min(t.at for t in incidents), max(t.at for t in incidents)
    subject = subject[0].upper() + subject[1:]
    if all(trouble.lasting for trouble in incidents):
        return _filled(f"{subject}, since {_moment(first)}.")
    if first == last:
        return _filled(f"{subject} at {_moment(last)}: {named(printable(incidents[-1].detail))}")
    return _filled(
        f"{subject} between {_moment(first)} and {_moment(last)}. "
        f"The last: {named(printable(max(incidents, key=lambda t: t.at).detail))}"
    )


def _filled(text: str, indent: str = "") -> str:
    return fill(text, WIDTH, "", indent)


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()


def _moment(at: float) -> str:
    return f"{_local(at):%Y-%m-%d %H:%M %Z}"
