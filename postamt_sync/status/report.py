"""How things stand: what `status` and the status page show, from the ledger and its surroundings.

The keys of `as_json` are an interface: they are added to, never renamed. Times are ISO 8601 in UTC,
durations are seconds, counts are mails.

    daemon       who delivers now ("" if nobody does)
    mails        how many objects are in each state: waiting, delivered, archived, gone, absent,
                 adopted, quarantined, skipped; sealed (in the bucket alone), where there is any
    last_mail    when the last mail was delivered, null: never
    mailboxes    name, delivered, last_delivered, waiting, problem (null: none), absent (mails that
                 were not there when the ledger was rebuilt)
    sources      name, last_ok, last_problem_at, problem (null: it works), detail
    waiting      at most 20: mail, key, since, attempts, next_attempt_in (null: at the next start),
                 awaits_envelope, problem
    quarantine   mail, key, since, problem
    latest       the last to come, newest first: mail, from, subject, received, state, mailboxes,
                 took (seconds from S3 to the Maildir, null: not timed). Empty where
                 remember_headers is off
                 (waiting and quarantine have from and subject too, null: not known)
    disks        what each holds (ledger, copies, mailboxes), path, free, size (null: no answer)
    ledger_copies    directory, made (null: none yet)
    next_poll    when the bucket is listed next, null: nobody does, or none succeeded yet
    absent       what was found to be absent and nobody has looked at, which verify and restore do
                 by listing it: mailbox (null: not known whose), mails, first, last (stored by S3)
    alerts       what a person is told of, or was within a day: cause (an option of [alerts]),
                 since, detail, lasting (until it is fixed), told (false: still to come)
    not_understood   how many notifications could not be used or believed, and the last reason
    days         the last 30, today last: day, mails (delivered since, by the day of their storing)
    latency      of the mail of these days, from S3 to the Maildir: copies, seconds (their sum),
                 classes: within (seconds, null: longer than all others), copies
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from postamt_sync.config import Settings
from postamt_sync.config.command import USUAL_LINE, CommandLine
from postamt_sync.ledger import CourierLock, Ledger, ObjectState
from postamt_sync.ledger.absences import Absence
from postamt_sync.ledger.history import Latencies
from postamt_sync.ledger.incidents import Incident, wanted_causes
from postamt_sync.ledger.overview import KeptNotification, MailboxHealth, SourceHealth, Waiting
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.repair import ObjectDetails
from postamt_sync.status.latest_mails import LatestMail, latest_mails
from postamt_sync.status.moments import utc_time
from postamt_sync.status.surroundings import Surroundings, read_surroundings

SHOWN = 20
LATEST = 8
DAYS = 30


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What one look at the ledger found. `now` is on the monotonic clock, for what waits."""

    holder: str
    states: dict[ObjectState, int]
    mailboxes: list[MailboxHealth]
    sources: list[SourceHealth]
    waiting: list[Waiting]
    quarantine: list[ObjectDetails]
    notifications: list[KeptNotification]
    alerts: list[Incident]
    absences: list[Absence]
    bring_back: str
    """The command that brings back what is absent."""
    days: dict[dt.date, int]
    latencies: Latencies
    latencies_ever: Latencies
    latest: list[LatestMail]
    headers: Mapping[str, MailHeader]
    """By mail ID, of mail that waits or is quarantined, as far as they are remembered."""
    around: Surroundings
    now: float
    line: CommandLine = USUAL_LINE
    """The path for the commands that the reader is told to run."""

    @property
    def last_mail(self) -> float | None:
        """When the last mail was delivered, in seconds since 1970."""
        return max(
            (m.last_delivered_at for m in self.mailboxes if m.last_delivered_at), default=None
        )

    def next_attempt_in(self, waiting: Waiting) -> float | None:
        """Seconds until the next attempt; None if nothing is running that would make one."""
        return max(0.0, waiting.next_attempt - self.now) if self.holder else None


def read_report(
    settings: Settings,
    ledger: Ledger,
    clock: Callable[[], float] = time.monotonic,
    *,
    quarantine: int | None = None,
) -> StatusReport:
    """Read how things stand, with at most that many mails of the quarantine. Writes nothing."""
    overview, history = ledger.overview, ledger.history
    line = CommandLine(settings.source)
    today = dt.datetime.now().astimezone().date()
    first = today - dt.timedelta(days=DAYS - 1)
    holder = CourierLock.holder(settings.state_dir) or ""
    waiting, quarantined = overview.waiting(SHOWN), ledger.repair.quarantined(quarantine)
    sources = overview.sources()
    return StatusReport(
        holder=holder,
        states=overview.states(),
        mailboxes=[
            replace(known, problem=_completed(known.problem, line))
            for known in overview.mailboxes(mailbox.name for mailbox in settings.mailboxes)
        ],
        sources=[replace(s, problem=_completed(s.problem, line)) for s in sources],
        waiting=[replace(w, problem=_completed(w.problem, line)) for w in waiting],
        quarantine=[replace(q, problem=_completed(q.problem, line)) for q in quarantined],
        notifications=overview.notifications(),
        alerts=[
            replace(a, detail=line.complete(a.detail))
            for a in ledger.incidents.current(wanted_causes(settings.alerts.wanted), time.time())
        ],
        absences=ledger.absences.unseen(),
        bring_back=line.typed("restore --only absent"),
        days=history.days(first, today),
        latencies=history.latencies(first),
        latencies_ever=history.latencies(),
        latest=latest_mails(ledger, LATEST),
        headers=ledger.headers.of([*(w.mail for w in waiting), *(q.mail for q in quarantined)]),
        around=read_surroundings(settings, sources, running=bool(holder)),
        now=clock(),
        line=line,
    )


def _completed(problem: str | None, line: CommandLine) -> str | None:
    return problem and line.complete(problem)


def as_json(report: StatusReport) -> dict[str, Any]:
    """Return the documented object."""
    return {
        "daemon": report.holder,
        "mails": {str(s): n for s, n in report.states.items() if n or s is not ObjectState.SEALED},
        "last_mail": utc_time(report.last_mail),
        "mailboxes": [
            {
                "name": m.mailbox,
                "delivered": m.delivered,
                "last_delivered": utc_time(m.last_delivered_at),
                "waiting": m.waiting,
                "problem": m.problem,
                "absent": m.absent,
            }
            for m in report.mailboxes
        ],
        "sources": [
            {
                "name": s.source,
                "last_ok": utc_time(s.ok_at),
                "last_problem_at": utc_time(s.bad_at),
                "problem": s.problem,
                "detail": s.detail,
            }
            for s in report.sources
        ],
        "waiting": [
            {
                "mail": w.mail,
                "key": w.key,
                "since": utc_time(w.first_seen),
                "attempts": w.attempts,
                "next_attempt_in": report.next_attempt_in(w),
                "awaits_envelope": w.awaits_envelope,
                "problem": w.problem,
                **_header(report, w.mail),
            }
            for w in report.waiting
        ],
        "quarantine": [
            {
                "mail": q.mail,
                "key": q.key,
                "since": utc_time(q.first_seen),
                "problem": q.problem,
                **_header(report, q.mail),
            }
            for q in report.quarantine
        ],
        "latest": [
            {
                "mail": each.header.mail,
                "from": each.header.sender,
                "subject": each.header.subject,
                "received": utc_time(each.header.stored_at),
                "state": each.state,
                "mailboxes": list(each.mailboxes),
                "took": each.took,
            }
            for each in report.latest
        ],
        "disks": [
            {"holds": list(disk.holds), "path": disk.path, "free": disk.free, "size": disk.size}
            for disk in report.around.disks
        ],
        "ledger_copies": [
            {"directory": copy.directory, "made": utc_time(copy.made_at)}
            for copy in report.around.copies
        ],
        "next_poll": utc_time(report.around.next_poll),
        "absent": [
            {
                "mailbox": a.mailbox or None,
                "mails": a.mails,
                "first": utc_time(a.first),
                "last": utc_time(a.last),
            }
            for a in report.absences
        ],
        "alerts": [
            {
                "cause": a.cause,
                "since": utc_time(a.at),
                "detail": a.detail,
                "lasting": a.lasting,
                "told": a.told,
            }
            for a in report.alerts
        ],
        "not_understood": {
            "count": len(report.notifications),
            "last_reason": report.notifications[0].reason if report.notifications else None,
        },
        "days": [{"day": str(day), "mails": mails} for day, mails in report.days.items()],
        "latency": {
            "copies": report.latencies.total,
            "seconds": report.latencies.seconds,
            "classes": [
                {"within": within if math.isfinite(within) else None, "copies": copies}
                for within, copies in report.latencies.copies.items()
            ],
        },
    }


def _header(report: StatusReport, mail: str) -> dict[str, str | None]:
    header = report.headers.get(mail)
    return {
        "from": header.sender if header else None,
        "subject": header.subject if header else None,
    }


@dataclass(frozen=True, slots=True)
class Runtime:
    """The state of the daemon at one moment. Counts begin with its start.

    `notifications_taken` counts by outcome, `notifications_refused` by HTTP status (408: too
    slow). `trouble` is why the bucket cannot be read, "" if it can. `heartbeat_failing` is
    None if no heartbeat is configured.
    """

    mails: int = 0
    bytes: int = 0
    trouble: str = ""
    notifications_taken: Mapping[str, int] = field(default_factory=dict)
    notifications_refused: Mapping[int, int] = field(default_factory=dict)
    heartbeat_failing: bool | None = None
