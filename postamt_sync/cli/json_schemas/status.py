"""What `status` prints."""

from __future__ import annotations

from postamt_sync.cli.json_schemas.kinds import (
    FROM,
    KEY,
    MAIL,
    PROBLEM,
    SUBJECT,
    count,
    many,
    maybe,
    moment,
    number,
    table,
    text,
    yes_no,
)
from postamt_sync.ledger import ObjectState
from postamt_sync.ledger.incidents import Cause
from postamt_sync.mail.arrival import Source

STATUS = table(
    "the state of the daemon, the mail and its sources",
    {
        "daemon": text('who delivers now, "" if nobody does'),
        "mails": table(
            "how many objects are in each state",
            {str(state): count("objects") for state in ObjectState},
            now_and_then=("sealed",),
        ),
        "last_mail": maybe(moment("when the last mail was delivered"), "never"),
        "mailboxes": many(
            "each mailbox",
            table(
                "a mailbox",
                {
                    "name": text("as configured"),
                    "delivered": count("mails delivered into it"),
                    "last_delivered": maybe(moment("when the last one was"), "never"),
                    "waiting": count("mails still to be delivered into it"),
                    "problem": PROBLEM,
                    "absent": count("mails that were not there when the ledger was rebuilt"),
                },
            ),
        ),
        "sources": many(
            "how we hear of mail",
            table(
                "a source",
                {
                    "name": text("which", of=Source),
                    "last_ok": maybe(moment("when it last worked"), "never"),
                    "last_problem_at": maybe(moment("when it last failed"), "never"),
                    "problem": PROBLEM,
                    "detail": maybe(text("more, for people"), "nothing more"),
                },
            ),
        ),
        "waiting": many(
            "what waits, at most 20 mails",
            table(
                "a mail that waits",
                {
                    "mail": MAIL,
                    "key": KEY,
                    "since": moment("when it was first heard of"),
                    "attempts": count("how often it was tried"),
                    "next_attempt_in": maybe(number("seconds"), "at the next start"),
                    "awaits_envelope": yes_no("whether it is waiting for its envelope"),
                    "problem": PROBLEM,
                    "from": FROM,
                    "subject": SUBJECT,
                },
            ),
        ),
        "quarantine": many(
            "what can never be delivered as it is",
            table(
                "a mail",
                {
                    "mail": MAIL,
                    "key": KEY,
                    "since": moment("when it was first heard of"),
                    "problem": PROBLEM,
                    "from": FROM,
                    "subject": SUBJECT,
                },
            ),
        ),
        "latest": many(
            "the latest mails, newest first; empty if remember_headers is off",
            table(
                "a mail",
                {
                    "mail": MAIL,
                    "from": text("From, decoded"),
                    "subject": text("Subject, decoded"),
                    "received": maybe(moment("when S3 stored it"), "not known"),
                    "state": text("its state", of=ObjectState),
                    "mailboxes": many("who has it", text("a mailbox")),
                    "took": maybe(number("seconds from S3 to the Maildir"), "not timed"),
                },
            ),
        ),
        "disks": many(
            "where mail and ledger are",
            table(
                "a disk",
                {
                    "holds": many("what", text("ledger, copies, or a mailbox")),
                    "path": text("where it was asked"),
                    "free": maybe(count("bytes that are free"), "it does not answer"),
                    "size": maybe(count("bytes"), "it does not answer"),
                },
            ),
        ),
        "ledger_copies": many(
            "the daily copies of the ledger",
            table(
                "a copy",
                {
                    "directory": text("where"),
                    "made": maybe(moment("when"), "none yet"),
                },
            ),
        ),
        "next_poll": maybe(
            moment("when the bucket is listed next"), "it is not, or never was without error"
        ),
        "absent": many(
            "what was found absent and was not looked at yet",
            table(
                "mail of one mailbox",
                {
                    "mailbox": maybe(text("whose"), "not known"),
                    "mails": count("how many"),
                    "first": maybe(moment("when S3 stored the oldest"), "not known"),
                    "last": maybe(moment("when S3 stored the newest"), "not known"),
                },
            ),
        ),
        "alerts": many(
            "what a person is told about, or was within a day",
            table(
                "an alert",
                {
                    "cause": text("an option of [alerts]", of=Cause),
                    "since": moment("since when"),
                    "detail": text("what is wrong, and what to do"),
                    "lasting": yes_no("whether it lasts until it is fixed"),
                    "told": yes_no("whether its mail was sent"),
                },
            ),
        ),
        "not_understood": table(
            "notifications that could not be used or believed",
            {
                "count": count("how many"),
                "last_reason": maybe(text("why the last was not"), "there was none"),
            },
        ),
        "days": many(
            "the last 30, today last",
            table(
                "a day",
                {
                    "day": text("as in 2026-11-28, local"),
                    "mails": count("delivered since, by the day on which S3 stored them"),
                },
            ),
        ),
        "latency": table(
            "from S3 to the Maildir, of the mail of these days",
            {
                "copies": count("how many were timed"),
                "seconds": number("their sum"),
                "classes": many(
                    "by how long it took",
                    table(
                        "a class",
                        {
                            "within": maybe(number("seconds"), "longer than all others"),
                            "copies": count("how many"),
                        },
                    ),
                ),
            },
        ),
    },
)
