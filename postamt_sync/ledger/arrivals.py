"""Arrivals: notifications and listings become rows, one per object.

Everything here is idempotent: the same notification may come any number of times, in any order.
What is new in it (an ETag, a recipient) makes the object due again and raises its revision.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from postamt_sync.ledger.found_copies import claim, is_copied
from postamt_sync.ledger.rows import DueState, EnvelopeState, ObjectState
from postamt_sync.ledger.sealed_arrivals import is_superseded, note_sealed
from postamt_sync.ledger.store import Store
from postamt_sync.mail.arrival import Arrival, Source, is_no_mail

KEPT_NOTIFICATIONS = 100
LONGEST_NOTIFICATION = 4096
"""Characters kept of a notification that was not understood."""

_Known = dict[str, tuple[str | None, str, bool]]
"""By key: ETag, state, and whether the time at which it was stored is known."""

_USUAL = ObjectState.DELIVERED
_BACKFILL = {Source.RECONCILE, Source.SYNC}
_NOT_FOR_AN_ENVELOPE = {
    ObjectState.ABSENT,
    ObjectState.ADOPTED,
    ObjectState.ARCHIVED,
    ObjectState.QUARANTINED,
    ObjectState.SEALED,
    ObjectState.SKIPPED,
}
_UNREADABLE = {ObjectState.ARCHIVED, ObjectState.SEALED}
_ADOPTABLE = {*_UNREADABLE, ObjectState.GONE, ObjectState.WAITING}
_NOT_FOR_A_TWIN = {ObjectState.ABSENT, ObjectState.ADOPTED, ObjectState.SKIPPED}


class Arrivals:
    """The intake side of the ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, arrivals: Iterable[Arrival], *, adopt: bool = False) -> list[bool]:
        """Upsert arrivals in one transaction and return for each whether it was unknown.

        With `adopt`, objects of which no copy has been begun become known but are not delivered.
        """
        with self._store.writing() as db:
            return [_record(db, arrival, adopt=adopt) for arrival in arrivals]

    def record_twins(self, arrivals: Iterable[Arrival]) -> list[bool]:
        """Do the same as `record` for objects whose twins were found below the recent prefix.

        Each arrival has the key of the object itself, but the ETag of its twin. That tells whether
        we have seen this twin, not what the object's own ETag is.
        """
        with self._store.writing() as db:
            return [_record_twin(db, arrival) for arrival in arrivals]

    def unknown(
        self,
        bucket: str,
        page: Sequence[tuple[str, str, bool]],
        *,
        twins: bool = False,
        timed: bool = False,
    ) -> list[int]:
        """Return which entries of a listing's page are news to the ledger, by their index.

        `page` has (key, ETag, closed) in the order of S3's listings, which is that of the keys'
        UTF-8 bytes. Closed is what lies in an archive, and what only its sealed object is left of.
        Nothing is written.

        Also news: a gone object that is listed again (not if `twins` are listed), a closed one that
        can be read now, and with `timed` one that is not at home and has no time in the ledger.
        """
        if not page:
            return []
        known = self._known_twins(bucket, page) if twins else self._known(bucket, page)
        news = []
        for index, (key, etag, closed) in enumerate(page):
            row = known.get(key)
            if row is None or row[0] != etag:
                news.append(index)
            elif not twins and row[1] != _USUAL:
                restored = row[1] in _UNREADABLE and not closed
                if row[1] == ObjectState.GONE or restored or (timed and not row[2]):
                    news.append(index)
        return news

    def _known(self, bucket: str, page: Sequence[tuple[str, str, bool]]) -> _Known:
        listed = {key for key, _, _ in page}
        with self._store.reading() as db:
            # One scan of the page's range. The ledger may have keys in it that are gone by now.
            rows = db.execute(
                "SELECT key, etag, state, last_modified IS NOT NULL FROM objects"
                " WHERE bucket = ? AND key >= ? AND key <= ?",
                (bucket, page[0][0], page[-1][0]),
            )
            return {key: (etag, state, timed) for key, etag, state, timed in rows if key in listed}

    def _known_twins(self, bucket: str, page: Sequence[tuple[str, str, bool]]) -> _Known:
        known: _Known = {}
        with self._store.reading() as db:
            # Key by key: keys hold no time, so a range of recent ones spans the whole archive.
            for key, _, _ in page:
                row = db.execute(
                    "SELECT coalesce(recent_etag, etag), state FROM objects"
                    " WHERE bucket = ? AND key = ?",
                    (bucket, key),
                ).fetchone()
                if row is not None:
                    known[key] = (row[0], row[1], True)
        return known

    def keep_notification(self, source: Source, reason: str, text: str) -> None:
        """Keep a genuine notification that was not understood; the newest 100 are kept."""
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO notices (at, source, reason, text) VALUES (?, ?, ?, ?)",
                (time.time(), source, reason, text[:LONGEST_NOTIFICATION]),
            )
            db.execute(
                "DELETE FROM notices WHERE id <= (SELECT max(id) FROM notices) - ?",
                (KEPT_NOTIFICATIONS,),
            )


def _record(db: sqlite3.Connection, arrival: Arrival, *, adopt: bool) -> bool:
    row = _row(db, arrival)
    if row is None:
        _insert(db, arrival, adopt=adopt, etag=arrival.etag, recent_etag=None)
        _add_envelope(db, arrival)
        return True
    state = ObjectState(row["state"])
    if adopt and state in _ADOPTABLE and not row["begun"]:
        db.execute(
            "UPDATE objects SET state = ?, revision = revision + 1, etag = coalesce(?, etag)"
            " WHERE bucket = ? AND key = ?",
            (ObjectState.ADOPTED, arrival.etag, arrival.bucket, arrival.key),
        )
        return False
    if arrival.sealed and is_superseded(arrival, row):
        return False
    etag_is_news = arrival.etag is not None and arrival.etag != row["etag"]
    # A delivery that is known by its file's name alone must be one of this content.
    unlike = (
        arrival.etag is not None
        and row["etag"] is None
        and state is ObjectState.DELIVERED
        and not is_copied(db, arrival.mail_id, arrival.etag)
    )
    looks_again = (
        (etag_is_news and row["etag"] is not None)
        or state is ObjectState.GONE
        or (state in _UNREADABLE and arrival.etag is not None and not arrival.archived)
    )
    db.execute(
        "UPDATE objects SET etag = coalesce(?, etag), size = coalesce(?, size),"
        " last_modified = coalesce(?, last_modified), storage_class = coalesce(?, storage_class)"
        " WHERE bucket = ? AND key = ?",
        (
            arrival.etag,
            arrival.size,
            arrival.last_modified,
            arrival.storage_class,
            arrival.bucket,
            arrival.key,
        ),
    )
    names_more = _add_envelope(db, arrival)
    if arrival.sealed and looks_again and not unlike:
        note_sealed(db, arrival, state)
    elif unlike:
        _make_due(db, arrival, DueState.HELD if _is_rebuilding(db) else DueState.FIRST)
    elif looks_again or (names_more and _minds_an_envelope(state, row)):
        _make_due(db, arrival)
    return False


def _record_twin(db: sqlite3.Connection, arrival: Arrival) -> bool:
    row = _row(db, arrival)
    if row is None:
        _insert(db, arrival, adopt=False, etag=None, recent_etag=arrival.etag)
        _add_envelope(db, arrival)
        return True
    seen = row["recent_etag"] or row["etag"]
    db.execute(
        "UPDATE objects SET recent_etag = ? WHERE bucket = ? AND key = ?",
        (arrival.etag, arrival.bucket, arrival.key),
    )
    # Twins need not have equal ETags (under KMS they never do). A difference only means that the
    # object may have changed, and costs one GET which finds the content known.
    if seen is not None and seen != arrival.etag and row["state"] not in _NOT_FOR_A_TWIN:
        db.execute(
            "UPDATE objects SET etag = NULL WHERE bucket = ? AND key = ?",
            (arrival.bucket, arrival.key),
        )
        _make_due(db, arrival)
    return False


def _row(db: sqlite3.Connection, arrival: Arrival) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT state, etag, recent_etag, from_names, last_modified,"
        " EXISTS (SELECT 1 FROM deliveries d WHERE d.mail = o.mail) AS begun"
        " FROM objects o WHERE bucket = ? AND key = ?",
        (arrival.bucket, arrival.key),
    ).fetchone()
    return row


def _insert(
    db: sqlite3.Connection,
    arrival: Arrival,
    *,
    adopt: bool,
    etag: str | None,
    recent_etag: str | None,
) -> None:
    state = ObjectState.WAITING
    if adopt:
        state = ObjectState.ADOPTED
    elif arrival.sealed:
        state = ObjectState.SEALED
    elif arrival.archived:
        state = ObjectState.ARCHIVED
    if is_no_mail(arrival.key, arrival.size):
        state = ObjectState.SKIPPED
    db.execute(
        "INSERT INTO objects (bucket, key, mail, state, source, etag, recent_etag, size,"
        " last_modified, storage_class, first_seen, due, envelope)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            arrival.bucket,
            arrival.key,
            arrival.mail_id,
            state,
            arrival.source,
            etag,
            recent_etag,
            arrival.size,
            arrival.last_modified,
            arrival.storage_class,
            time.time(),
            DueState.BACKFILL if arrival.source in _BACKFILL else DueState.FIRST,
            EnvelopeState.IN_VAIN if arrival.asked else EnvelopeState.UNKNOWN,
        ),
    )
    if state is not ObjectState.SKIPPED:
        _recognise(db, arrival, adopt=adopt)


def _recognise(db: sqlite3.Connection, arrival: Arrival, *, adopt: bool) -> None:
    """Let a new object claim the file names that a lost ledger left in the Maildirs.

    The copies found that way say nothing about other mailboxes, so the object still has to be
    routed. While a rebuild is under way it is held.
    """
    where = (arrival.bucket, arrival.key)
    claimed = claim(db, arrival.mail_id)
    if claimed:
        db.execute(
            "UPDATE objects SET state = ? WHERE bucket = ? AND key = ?",
            (ObjectState.WAITING, *where),
        )
    if _is_rebuilding(db) and (claimed or not adopt):
        db.execute(
            "UPDATE objects SET due = 'held', next_attempt = 0 WHERE bucket = ? AND key = ?", where
        )


def _minds_an_envelope(state: ObjectState, row: sqlite3.Row) -> bool:
    """Tell whether a further recipient makes the object due.

    An absent object was found to be absent for the mailboxes that were known to be concerned.
    """
    absent_for_some = state is ObjectState.ABSENT and bool(row["from_names"])
    return absent_for_some or state not in _NOT_FOR_AN_ENVELOPE


def _add_envelope(db: sqlite3.Connection, arrival: Arrival) -> bool:
    envelope = arrival.envelope
    if envelope is None:
        return False
    said = {name: verdict for name, verdict in asdict(envelope.verdicts).items() if verdict}
    if said:
        db.execute(
            "UPDATE objects SET verdicts = json_patch(coalesce(verdicts, '{}'), ?)"
            " WHERE bucket = ? AND key = ?",
            (json.dumps(said), arrival.bucket, arrival.key),
        )
    before = db.total_changes
    db.executemany(
        "INSERT OR IGNORE INTO recipients (mail, address) VALUES (?, ?)",
        [(arrival.mail_id, recipient) for recipient in envelope.recipients],
    )
    if envelope.recipients:
        db.execute("DELETE FROM questions WHERE mail = ?", (arrival.mail_id,))
    return db.total_changes > before


def _is_rebuilding(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM rebuilding").fetchone() is not None


def _make_due(db: sqlite3.Connection, arrival: Arrival, due: DueState = DueState.FIRST) -> None:
    db.execute(
        "UPDATE objects SET state = 'waiting', revision = revision + 1, envelope = 'unknown',"
        " due = CASE due WHEN 'held' THEN due ELSE ? END, next_attempt = 0"
        " WHERE bucket = ? AND key = ?",
        (due, arrival.bucket, arrival.key),
    )
