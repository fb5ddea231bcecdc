"""A house that has been in use for years: many rows in its ledger, many names in a Maildir."""

from __future__ import annotations

import hashlib
import itertools

from postamt_sync.delivery.filename import final_name, make_stem
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import mail_id
from tests.end_to_end.home import Home
from tests.faults.campaign.reader import OURS

BUCKET = "mail"
FOLDER = "Old"
FIRST = 1_600_000_000
BATCH = 10_000


def grow(home: Home, rows: int, names: int) -> None:
    """Let the ledger know of so many mails that anna had, and so many of them lie in a folder.

    What lies there is no mail to the judge, who would read it all.
    """
    root = home.maildirs["anna"]
    ledger = Ledger.open(home.state)
    try:
        for start in range(0, rows, BATCH):
            numbers = range(start, min(rows, start + BATCH))
            with ledger.store.writing() as db:
                db.executemany(
                    "INSERT INTO objects (bucket, key, mail, state, source, etag, size,"
                    " last_modified, first_seen, settled_at, routed)"
                    " VALUES (?, ?, ?, 'delivered', 'poll', ?, 9, ?, ?, ?, 0)",
                    [
                        (BUCKET, key, mail_id(BUCKET, key), etag, at, at, at)
                        for key, etag, at in map(_mail, numbers)
                    ],
                )
                db.executemany(
                    "INSERT INTO deliveries (mail, mailbox, stem, state, maildir, folder, name,"
                    " delivered_at) VALUES (?, 'anna', ?, 'delivered', ?, ?, ?, ?)",
                    [
                        (mail_id(BUCKET, key), stem, str(root), FOLDER, _name(stem), at)
                        for key, stem, at in map(_copy, numbers)
                    ],
                )
    finally:
        ledger.close()
    for path, part in itertools.product((root, root / f".{FOLDER}"), ("tmp", "new", "cur")):
        (path / part).mkdir(parents=True, mode=0o700)
    for number in range(names):
        _, stem, _ = _copy(number)
        (root / f".{FOLDER}" / "cur" / f"{_name(stem)}:2,S").write_bytes(OURS)


def _mail(number: int) -> tuple[str, str, float]:
    digest = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    return f"incoming/{digest}", digest, float(FIRST + number)


def _copy(number: int) -> tuple[str, str, float]:
    key, etag, at = _mail(number)
    return key, make_stem(BUCKET, key, etag, at), at


def _name(stem: str) -> str:
    return final_name(stem, len(OURS), len(OURS))
