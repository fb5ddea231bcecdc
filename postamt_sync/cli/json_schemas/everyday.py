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
    "where mail is, and how it got there",
    {
        "words": many("the words asked for", text("a word")),
        "looked": many(
            "where we looked",
            table(
                "a place",
                {
                    "where": text("ledger, Maildirs, bucket, index"),
                    "mails": count("how many are there, or were found there"),
                    "problem": PROBLEM,
                },
            ),
        ),
        "more": yes_no("whether there are more than are shown"),
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
                    "state": maybe(text("its state", of=ObjectState), "no ledger knows it"),
                    "problem": PROBLEM,
                    "source": maybe(text("how it was first heard of", of=Source), "not known"),
                    "evidence": maybe(text("what decided who gets it", of=Evidence), "not routed"),
                    "recipients": many("the recipients in its envelope", text("an address")),
                    "copies": many(
                        "what the ledger knows of each mailbox's copy",
                        table(
                            "a copy",
                            {
                                "mailbox": text("whose"),
                                "state": text("its state", of=DeliveryState),
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
                                    "it is still in new/",
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
                        "not looked up, or not there",
                    ),
                    "stations": many(
                        "the stages of its way",
                        table(
                            "a stage",
                            {
                                "at": maybe(moment("when"), "not known"),
                                "station": text("its name"),
                                "text": text("what happened, for people"),
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
        "known": count("delivered before, or considered delivered"),
        "delivered": count("delivered by this pass"),
        "archived": count("in an archive of S3: restore"),
        "sealed": count("only sealed, and not at home: restore"),
        "quarantined": count("can never be delivered as they are"),
        "failed": count("could not be delivered now"),
        "waiting": count("wait for their envelope, or with --dry-run: would be fetched"),
        "skipped": count("not mail"),
        "gone": count("no longer in the bucket"),
        "bytes": count("of the mail that was handled"),
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
