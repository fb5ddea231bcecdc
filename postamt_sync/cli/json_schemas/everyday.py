"""What the other everyday verbs print: find, sync, check."""

from __future__ import annotations

from postamt_sync.cli.json_schemas.kinds import (
    FROM,
    KEY,
    MAIL,
    PROBLEM,
    SUBJECT,
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
from postamt_sync.mail.arrival import Evidence, Source

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
