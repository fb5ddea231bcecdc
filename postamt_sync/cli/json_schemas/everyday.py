"""What the verbs for every day print: status, find, sync, check."""

from __future__ import annotations

from postamt_sync.cli.json_schemas.kinds import (
    anything,
    by_name,
    count,
    many,
    maybe,
    moment,
    number,
    table,
    text,
    yes_no,
)
from postamt_sync.ledger import DeliveryState, ObjectState
from postamt_sync.ledger.incidents import Cause
from postamt_sync.mail.arrival import Evidence, Source

MAIL = text("its id, as in log lines and file names")
KEY = text("its S3 key")
PROBLEM = maybe(text("why not"), "nothing is wrong")
FROM = maybe(text("From, decoded"), "not remembered")
SUBJECT = maybe(text("Subject, decoded"), "not remembered")

STATUS = table(
    "how things stand",
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
                    "waiting": count("mails that it is still to get"),
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
                    "detail": maybe(text("more, for eyes"), "nothing more"),
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
                    "awaits_envelope": yes_no("whether it waits to hear for whom it is"),
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
            "the last to come, newest first; empty where remember_headers is off",
            table(
                "a mail",
                {
                    "mail": MAIL,
                    "from": text("From, decoded"),
                    "subject": text("Subject, decoded"),
                    "received": maybe(moment("when S3 stored it"), "not known"),
                    "state": text("where it stands", of=ObjectState),
                    "mailboxes": many("who has it", text("a mailbox")),
                    "took": maybe(number("seconds from S3 to the Maildir"), "not timed"),
                },
            ),
        ),
        "disks": many(
            "where mail and ledger lie",
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
            moment("when the bucket is listed next"), "nobody does, or none went well"
        ),
        "absent": many(
            "what was found to be absent and nobody has looked at",
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
            "what a person is told of, or was within a day",
            table(
                "an alert",
                {
                    "cause": text("an option of [alerts]", of=Cause),
                    "since": moment("since when"),
                    "detail": text("what is wrong, and what to do"),
                    "lasting": yes_no("whether it lasts until it is fixed"),
                    "told": yes_no("whether its mail is out"),
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

FIND = table(
    "where mail is, and how it came there",
    {
        "words": many("what was asked for", text("a word")),
        "looked": many(
            "where it was looked for",
            table(
                "a place",
                {
                    "where": text("ledger, Maildirs, bucket, index"),
                    "mails": count("what is there in all, or was found there"),
                    "problem": PROBLEM,
                },
            ),
        ),
        "more": yes_no("whether there is more than is shown"),
        "mails": many(
            "the mails, newest first",
            table(
                "a mail",
                {
                    "mail": MAIL,
                    "key": maybe(KEY, "not known"),
                    "from": FROM,
                    "to": maybe(text("To, decoded"), "not remembered"),
                    "subject": SUBJECT,
                    "message_id": maybe(text("Message-ID"), "not remembered"),
                    "received": maybe(moment("when S3 stored it"), "not known"),
                    "size": maybe(count("bytes"), "not known"),
                    "state": maybe(text("where it stands", of=ObjectState), "no ledger knows it"),
                    "problem": PROBLEM,
                    "source": maybe(text("by what it was heard of", of=Source), "not known"),
                    "evidence": maybe(text("why it was routed so", of=Evidence), "not routed"),
                    "recipients": many("for whom the envelope says it is", text("an address")),
                    "copies": many(
                        "what the ledger knows of each mailbox's copy",
                        table(
                            "a copy",
                            {
                                "mailbox": text("whose"),
                                "state": text("where it stands", of=DeliveryState),
                                "delivered": maybe(moment("when"), "not known"),
                                "problem": PROBLEM,
                            },
                        ),
                    ),
                    "files": many(
                        "the files that are there now",
                        table(
                            "a file",
                            {
                                "mailbox": text("whose"),
                                "folder": text("which"),
                                "path": text("where"),
                                "flags": maybe(
                                    many("what a mail client has set", text("a flag")),
                                    "no client has looked",
                                ),
                            },
                        ),
                    ),
                    "bucket": maybe(
                        table(
                            "what is in the bucket",
                            {
                                "key": KEY,
                                "size": maybe(count("bytes"), "not known"),
                                "stored": maybe(moment("when"), "not known"),
                                "storage_class": maybe(text("of S3"), "not told"),
                                "problem": PROBLEM,
                            },
                        ),
                        "nobody looked, or it is not there",
                    ),
                    "stations": many(
                        "its way",
                        table(
                            "a station",
                            {
                                "at": maybe(moment("when"), "not known"),
                                "station": text("its name"),
                                "text": text("what happened, for eyes"),
                            },
                        ),
                    ),
                },
            ),
        ),
    },
)

SYNC = table(
    "one pass; listed is the sum of the other counts of mails",
    {
        "listed": count("objects in the bucket"),
        "known": count("delivered before, or taken for delivered"),
        "delivered": count("delivered by this pass"),
        "archived": count("in an archive of S3: restore"),
        "sealed": count("only sealed, and not at home: restore"),
        "quarantined": count("can never be delivered as they are"),
        "failed": count("could not be delivered now"),
        "waiting": count("wait for their envelope, or with --dry-run: would be fetched"),
        "skipped": count("no mail"),
        "gone": count("no longer in the bucket"),
        "bytes": count("of the mail that was done"),
        "seconds": number("how long it took"),
        "dry_run": yes_no("true, if nothing was done"),
        "error": text("what cut it short"),
        "hint": text("what to do then"),
    },
    now_and_then=("dry_run", "error", "hint"),
)

CHECK = table(
    "the configuration in force",
    {
        "source": text("the file"),
        "settings": by_name("each option with its value, secrets left out", anything("a table")),
        "lacking": many(
            "files that it names and that are not there or cannot be read",
            table("a file", {"key": text("the option"), "wrong": text("what is wrong")}),
        ),
    },
)
