"""What the verbs for checking and repairing print: doctor, verify, restore, rebuild and others."""

from __future__ import annotations

from postamt_sync.cli.json_schemas.kinds import (
    KEY,
    MAIL,
    PROBLEM,
    count,
    many,
    maybe,
    moment,
    number,
    table,
    text,
    yes_no,
)
from postamt_sync.doctor.finding import Severity
from postamt_sync.ledger import ObjectState
from postamt_sync.mail.arrival import Evidence, Source
from postamt_sync.recovery.difference import DifferenceKind

FINDINGS = table(
    "what was checked",
    {
        "findings": many(
            "in the order of the checks",
            table(
                "a finding",
                {
                    "subject": text("what was checked"),
                    "outcome": text("the result", of=Severity),
                    "words": text("what was found"),
                    "remedy": text('what to do, "" if nothing'),
                    "because": text('the subject of the finding that explains it, or ""'),
                },
            ),
        )
    },
)

VERIFY = table(
    "bucket, ledger and Maildirs compared",
    {
        "objects": count("objects in the bucket that were compared"),
        "files": count("files of ours in the Maildirs"),
        "adopted": count("mails considered delivered"),
        "under_way": count("mails that are being delivered"),
        "counts": table(
            "differences of each kind",
            {str(kind): count("how many") for kind in DifferenceKind},
        ),
        "differences": many(
            "each difference",
            table(
                "a difference",
                {
                    "kind": text("which", of=DifferenceKind),
                    "key": maybe(KEY, "of no object"),
                    "mail": maybe(MAIL, "of no mail"),
                    "mailbox": maybe(text("whose"), "of no mailbox"),
                    "path": maybe(text("a file"), "of no file"),
                    "detail": maybe(text("more, for people"), "nothing more"),
                },
            ),
        ),
    },
)

RESTORE = table(
    "what is brought back; the counts are there once something was done",
    {
        "mails": many(
            "the mails",
            table(
                "a mail",
                {
                    "key": KEY,
                    "mail": MAIL,
                    "kind": text("why it is missing", of=DifferenceKind),
                    "storage_class": text("of S3"),
                },
            ),
        ),
        "cost_usd": number("US dollars in all, in us-east-1, without tax"),
        "cost": many(
            "what it is made of",
            table(
                "an item",
                {
                    "what": text("for what"),
                    "usd": number("US dollars"),
                    "verified": yes_no("whether the price was looked up, not estimated"),
                },
            ),
        ),
        "wanted": count("mails"),
        "asked": count("mails requested from an archive"),
        "readable": count("mails that can be read"),
        "delivered": count("mails that are at home"),
        "failed": count("mails that could not be delivered"),
    },
    now_and_then=("wanted", "asked", "readable", "delivered", "failed"),
)

REBUILD = table(
    "a ledger that was rebuilt",
    {
        "set_aside": text('where the old one is now, "" if there was none'),
        "copy": text('the copy that was used, "" if none was'),
        "names": count("file names that were read"),
        "listed": count("objects in the bucket"),
        "delivered": count("mails that are there"),
        "absent": count("mails that are not, and are not fetched unasked"),
        "waiting": count("mails that the next run or sync delivers"),
        "unmatched": count("files that belong to no object"),
    },
)

KNOWN_MAIL = table(
    "what is known of one mail",
    {
        "mail": MAIL,
        "bucket": text("its bucket"),
        "key": KEY,
        "state": text("its state", of=ObjectState),
        "source": text("how it was first heard of", of=Source),
        "size": maybe(count("bytes"), "not known"),
        "first_seen": moment("when it was first heard of"),
        "last_modified": maybe(moment("when S3 stored it"), "not known"),
        "evidence": maybe(text("what decided who gets it", of=Evidence), "not routed"),
        "attempts": count("how often it was tried"),
        "problem": PROBLEM,
        "mailboxes": many("who has it", text("a mailbox")),
        "settled_at": maybe(moment("when it was settled"), "not yet"),
    },
)
QUARANTINE = many("what is quarantined, newest first", KNOWN_MAIL)
