"""The ledger's tables, and how an older ledger becomes a current one.

`PRAGMA user_version` holds the number of migrations that have been applied. A migration that has
been released is never edited; changes are appended.
"""

from __future__ import annotations

import sqlite3

from postamt_sync.errors import MisconfiguredError


class NewerLedgerError(MisconfiguredError):
    """A newer version wrote the ledger: it is whole, and going on with it would damage it."""


MIGRATIONS = (
    """
    CREATE TABLE objects (
        bucket        TEXT NOT NULL,
        key           TEXT NOT NULL,
        mail          TEXT NOT NULL,               -- the mail id: a hash of bucket and key
        state         TEXT NOT NULL,
        source        TEXT NOT NULL,
        etag          TEXT,                        -- of the object itself, once known
        recent_etag   TEXT,                        -- of its twin under the recent prefix
        size          INTEGER,
        last_modified REAL,                        -- seconds since 1970, S3's clock
        storage_class TEXT,
        first_seen    REAL NOT NULL,               -- seconds since 1970, our clock
        revision      INTEGER NOT NULL DEFAULT 0,
        routed        INTEGER NOT NULL DEFAULT -1, -- the revision that the deliveries fulfil
        edition       INTEGER NOT NULL DEFAULT 0,  -- how often it was redelivered
        evidence      TEXT,
        verdicts      TEXT,                        -- the receipt's, as JSON
        attempts      INTEGER NOT NULL DEFAULT 0,
        next_attempt  REAL NOT NULL DEFAULT 0,     -- monotonic seconds, or one of arrivals.DUE_*
        grace         INTEGER NOT NULL DEFAULT 0,  -- 1: its envelope is awaited, 2: was in vain
        problem       TEXT,
        settled_at    REAL,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX objects_mail ON objects (mail);
    CREATE INDEX objects_due ON objects (next_attempt, last_modified) WHERE state = 'waiting';
    CREATE INDEX objects_state ON objects (state);

    CREATE TABLE recipients (
        mail    TEXT NOT NULL,
        address TEXT NOT NULL,
        PRIMARY KEY (mail, address)
    ) WITHOUT ROWID;

    CREATE TABLE deliveries (
        mail         TEXT NOT NULL,
        mailbox      TEXT NOT NULL,
        stem         TEXT NOT NULL,
        state        TEXT NOT NULL,
        maildir      TEXT NOT NULL DEFAULT '',
        folder       TEXT NOT NULL DEFAULT '',
        name         TEXT NOT NULL DEFAULT '',
        sha256       TEXT NOT NULL DEFAULT '',
        prepared_at  REAL,
        tmp_inode    INTEGER NOT NULL DEFAULT 0,   -- which directory the draft lay in
        delivered_at REAL,
        attempts     INTEGER NOT NULL DEFAULT 0,
        problem      TEXT,
        PRIMARY KEY (mail, mailbox, stem)
    ) WITHOUT ROWID;
    CREATE INDEX deliveries_open ON deliveries (mailbox, state) WHERE state != 'delivered';

    CREATE TABLE maildirs (                        -- roots that were there once
        root       TEXT PRIMARY KEY,
        mailbox    TEXT NOT NULL,
        created_at REAL NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE notices (                         -- true announcements that nobody understood
        id     INTEGER PRIMARY KEY,
        at     REAL NOT NULL,
        source TEXT NOT NULL,
        reason TEXT NOT NULL,
        text   TEXT NOT NULL
    );

    CREATE TABLE sources (                         -- how each way of hearing is doing
        source   TEXT PRIMARY KEY,
        ok_at    REAL,
        bad_at   REAL,
        problem  TEXT,
        detail   TEXT
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE days (                            -- mails delivered, by the day of their storing
        day   TEXT PRIMARY KEY,                    -- 2026-11-24, in the time zone of the machine
        mails INTEGER NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO days SELECT date(last_modified, 'unixepoch', 'localtime'), count(*)
        FROM objects WHERE last_modified IS NOT NULL AND EXISTS (
            SELECT 1 FROM deliveries d WHERE d.mail = objects.mail AND d.state = 'delivered'
        ) GROUP BY 1;

    CREATE TABLE latencies (                       -- copies, by how long they took
        day     TEXT NOT NULL,
        within  REAL NOT NULL,                     -- seconds, one of history.BOUNDS
        copies  INTEGER NOT NULL,
        seconds REAL NOT NULL,                     -- their sum
        PRIMARY KEY (day, within)
    ) WITHOUT ROWID;

    CREATE TABLE began (at REAL NOT NULL);         -- one row: what was stored before is a backfill
    INSERT INTO began SELECT coalesce(min(first_seen), strftime('%s', 'now')) FROM objects;
    """,
    """
    CREATE TABLE questions (                       -- mails whose envelope the index may know
        mail TEXT PRIMARY KEY,
        at   REAL NOT NULL                         -- when to ask, monotonic seconds
    ) WITHOUT ROWID;
    CREATE INDEX questions_due ON questions (at);
    """,
    """
    -- which edition of its object a copy stands for
    ALTER TABLE deliveries ADD COLUMN edition INTEGER NOT NULL DEFAULT 0;
    UPDATE deliveries SET edition = CAST(substr(stem, instr(stem, 'R') + 1) AS INTEGER)
        WHERE instr(stem, 'R') > 0;

    CREATE TABLE traces (                          -- names in Maildirs whose object is not known
        mail      TEXT NOT NULL,
        mailbox   TEXT NOT NULL,
        stem      TEXT NOT NULL,
        maildir   TEXT NOT NULL,
        folder    TEXT NOT NULL,
        name      TEXT NOT NULL,
        etag_hash TEXT NOT NULL,
        edition   INTEGER NOT NULL,
        stored_at REAL NOT NULL,                   -- seconds since 1970, S3's clock
        draft     INTEGER NOT NULL,                -- 1: in tmp/, its delivery was under way
        PRIMARY KEY (mail, mailbox, stem)
    ) WITHOUT ROWID;

    CREATE TABLE rebuilding (                      -- at most one row, while a rebuild is not done
        only     INTEGER PRIMARY KEY CHECK (only = 1),
        begun_at REAL NOT NULL,
        horizon  REAL                              -- the newest name that is an object's
    );
    """,
    """
    CREATE TABLE restores (                        -- archived mails that a person wants back
        mail         TEXT PRIMARY KEY,
        revision     INTEGER NOT NULL,             -- of the object when it was ordered
        mailboxes    TEXT NOT NULL,                -- that have lost their copy, as JSON
        tier         TEXT NOT NULL,
        ordered_at   REAL NOT NULL,
        requested_at REAL                          -- when S3 was asked to bring it back
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE sources ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;  -- 1: our credentials

    CREATE TABLE troubles (                        -- what a person is to be told of
        cause   TEXT NOT NULL,
        what    TEXT NOT NULL,                     -- which one of its kind: it counts once
        at      REAL NOT NULL,                     -- seconds since 1970: when it came up
        detail  TEXT NOT NULL,
        lasting INTEGER NOT NULL,                  -- 1: it holds on until it is taken back
        alert   TEXT,                              -- mail id of the alert that told of it last
        PRIMARY KEY (cause, what)
    ) WITHOUT ROWID;
    CREATE INDEX troubles_untold ON troubles (cause) WHERE alert IS NULL;

    CREATE TABLE alerts (                          -- mails of our own
        mail         TEXT PRIMARY KEY,
        cause        TEXT NOT NULL,
        key          TEXT NOT NULL,
        at           REAL NOT NULL,                -- seconds since 1970: when it was written
        body         BLOB NOT NULL,
        delivered_at REAL
    ) WITHOUT ROWID;
    CREATE INDEX alerts_latest ON alerts (cause, at);
    """,
    """
    -- when this ledger was first known to miss nothing of what lies in the Maildirs
    ALTER TABLE began ADD COLUMN whole_at REAL;
    UPDATE began SET whole_at = at WHERE EXISTS (SELECT 1 FROM maildirs) AND NOT EXISTS
        (SELECT 1 FROM rebuilding r WHERE NOT EXISTS
            (SELECT 1 FROM objects o WHERE o.first_seen < r.begun_at));

    -- 1: nothing was known before it, 0: an older ledger is completed
    ALTER TABLE rebuilding ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
    UPDATE rebuilding SET lost = NOT EXISTS (SELECT 1 FROM began WHERE whole_at IS NOT NULL);

    CREATE TABLE horizons (                        -- of a ledger that was rebuilt from names alone
        mailbox TEXT PRIMARY KEY,
        newest  REAL NOT NULL                      -- S3's time of the newest mail that was there
    ) WITHOUT ROWID;

    CREATE TABLE owed (                            -- a draft proves it, whatever else is forgotten
        mail    TEXT NOT NULL,
        mailbox TEXT NOT NULL,
        PRIMARY KEY (mail, mailbox)
    ) WITHOUT ROWID;

    -- 1: it was in the bucket when the ledger was rebuilt from names alone: the horizons apply
    ALTER TABLE objects ADD COLUMN from_names INTEGER NOT NULL DEFAULT 0;
    -- 1: absent for somebody, and nobody has looked at that yet, 2: looked at as a whole
    ALTER TABLE objects ADD COLUMN unseen INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX objects_unseen ON objects (mail) WHERE unseen = 1;
    """,
    """
    -- when it is due (rows.DueState), where next_attempt had -2, -1 and 0 for the first three
    ALTER TABLE objects ADD COLUMN due TEXT NOT NULL DEFAULT 'backfill';
    UPDATE objects SET due = CASE next_attempt WHEN -2 THEN 'held' WHEN -1 THEN 'first'
        ELSE 'later' END WHERE next_attempt != 0;
    UPDATE objects SET next_attempt = 0 WHERE next_attempt < 0;
    DROP INDEX objects_due;
    CREATE INDEX objects_due ON objects (due, next_attempt, last_modified)
        WHERE state = 'waiting';

    -- whether its envelope is waited for (rows.EnvelopeState), which was grace 0, 1 and 2
    ALTER TABLE objects ADD COLUMN envelope TEXT NOT NULL DEFAULT 'unknown';
    UPDATE objects SET envelope = CASE grace WHEN 1 THEN 'awaited' ELSE 'in vain' END
        WHERE grace != 0;
    ALTER TABLE objects DROP COLUMN grace;
    """,
    """
    -- what a root is known by, and how many groups of mails were published into it
    ALTER TABLE maildirs ADD COLUMN marker TEXT NOT NULL DEFAULT '';
    ALTER TABLE maildirs ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    -- the root's generation since which it holds the copy, 0: since before there were any
    ALTER TABLE deliveries ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE headers (                         -- what people know a mail by
        mail       TEXT PRIMARY KEY,
        stored_at  REAL NOT NULL,                  -- seconds since 1970, S3's clock
        message_id TEXT NOT NULL,
        sender     TEXT NOT NULL,                  -- From, decoded
        recipients TEXT NOT NULL,                  -- To, decoded
        subject    TEXT NOT NULL,
        folded     TEXT NOT NULL                   -- what is searched, '' where all is ASCII
    ) WITHOUT ROWID;
    CREATE INDEX headers_latest ON headers (stored_at);
    """,
    """
    -- whether someone was shown who lacks it (rows.AbsenceState), which was unseen 0, 1 and 2
    ALTER TABLE objects ADD COLUMN absence TEXT NOT NULL DEFAULT 'none';
    UPDATE objects SET absence = CASE unseen WHEN 1 THEN 'unseen' ELSE 'seen' END
        WHERE unseen != 0;
    DROP INDEX objects_unseen;
    CREATE INDEX objects_unseen ON objects (mail) WHERE absence = 'unseen';
    ALTER TABLE objects DROP COLUMN unseen;
    """,
    """
    -- what nobody has ever read
    ALTER TABLE deliveries DROP COLUMN attempts;
    ALTER TABLE rebuilding DROP COLUMN horizon;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open ledger to the current schema, in one transaction.

    Raises NewerLedgerError.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have migrated while we waited for the transaction.
        for script in MIGRATIONS[_version(connection) :]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise NewerLedgerError(
            f"The ledger was written by a newer postamt-sync (schema {version}, this one "
            f"knows {len(MIGRATIONS)}).",
            "Install the newer version again.",
        )
    return int(version)
