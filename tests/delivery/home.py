"""A household's delivery side: a real ledger, real Maildirs, a bucket in memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postamt_sync.bucket import ObjectChangedError, ObjectGoneError
from postamt_sync.bucket.bandwidth import Bandwidth
from postamt_sync.delivery.courier import LOOK_EVERY, Courier
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.pending_mail import StepObserver, no_observer
from postamt_sync.events import Events
from postamt_sync.ledger import Task
from postamt_sync.mail.arrival import Arrival, Envelope, Source, Verdicts, mail_id
from postamt_sync.mail.routing import Addressee, Routes, VerdictFolders
from tests.doubles.disk import FaultyDisk
from tests.doubles.inbox import MemoryLog
from tests.support.new_ledger import new_ledger

BUCKET = "mail"
LONG_AGO = 1_700_000_000.0


@dataclass
class Object:
    body: bytes
    etag: str
    last_modified: float

    @property
    def size(self) -> int:
        return len(self.body)


@dataclass
class Reading:
    """One GET of an object in memory, as `bucket.Fetched` is."""

    stored: Object
    chunk: int
    client_encrypted: bool = False
    _whole: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stored, name)

    @property
    def sha256(self) -> str:
        assert self._whole
        return hashlib.sha256(self.stored.body).hexdigest()

    async def chunks(self) -> AsyncIterator[bytes]:
        body = self.stored.body
        step = max(self.chunk, len(body) // 16)
        for start in range(0, len(body), step):
            yield body[start : start + step]
        self._whole = True


@dataclass
class MemoryBucket:
    """The bucket as the courier sees it; chunks may be as small as the network brings them.

    What is large comes in sixteen, for each costs as much as a small mail.
    """

    objects: dict[str, Object] = field(default_factory=dict)
    gets: int = 0
    chunk: int = 1000
    bandwidth: Bandwidth = field(default_factory=Bandwidth)
    name: str = BUCKET

    def put(self, key: str, body: bytes, last_modified: float = LONG_AGO) -> Object:
        stored = Object(body, hashlib.md5(body).hexdigest(), last_modified)
        self.objects[key] = stored
        return stored

    @asynccontextmanager
    async def fetch(self, key: str, *, etag: str | None = None) -> AsyncIterator[Reading]:
        self.gets += 1
        stored = self.objects.get(key)
        if stored is None:
            raise ObjectGoneError(key)
        if etag not in {None, stored.etag}:
            raise ObjectChangedError(key)
        yield Reading(stored, self.chunk)


class Home:
    """Everything below `base`. `reopen` is what a new process finds."""

    def __init__(
        self,
        base: Path,
        people: Iterable[str] = ("anna", "bruno"),
        disk: Disk | None = None,
        grace: float = 0.0,
        patience: float = 20.0,
    ) -> None:
        self.base = base
        self.patience = patience
        self.disk = disk or FaultyDisk()
        self.people = tuple(people)
        self.grace = grace
        self.log = MemoryLog()
        self.events = Events(self.log)
        self.bucket: Any = MemoryBucket()
        self.reopen()

    def reopen(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
        self.ledger = new_ledger(self.base / "state")
        self.mailboxes = Mailboxes(
            [(name, self.root(name)) for name in self.people],
            self.ledger.work,
            self.disk,
            ("Junk", "Quarantine"),
            patience=self.patience,
        )
        first = self.people[0]
        self.destinations = Destinations(
            routes=Routes(Addressee(n, (f"{n}@home.example",), n == first) for n in self.people),
            mailboxes=self.mailboxes,
            folders=VerdictFolders("Junk", "Quarantine", ""),
            envelope_grace=self.grace,
        )

    def close(self) -> None:
        self.ledger.close()

    def root(self, name: str) -> Path:
        return self.base / "mail" / name

    def announce(
        self, key: str, *people: str, verdicts: Verdicts | None = None, **known: Any
    ) -> None:
        """Hear of a mail; with people's names by a receipt that is for them."""
        envelope = None
        if people or verdicts:
            recipients = tuple(f"{name}@home.example" for name in people)
            envelope = Envelope(recipients, verdicts=verdicts or Verdicts())
        arrival = Arrival(self.bucket.name, key, Source.WEBHOOK, envelope=envelope, **known)
        self.ledger.arrivals.record([arrival])

    def task(self, key: str) -> Task:
        """Return the object as the courier would take it up; it must be due."""
        due = self.ledger.work.due(float("inf"), 1000, ())
        return next(task for task in due if task.key == key)

    def state(self, key: str) -> str:
        return self.ledger.repair.find(key).state

    def problem(self, key: str) -> str:
        return self.ledger.repair.find(key).problem or ""

    def courier(
        self,
        observer: StepObserver = no_observer,
        clock: Callable[[], float] = time.monotonic,
        looks_every: float = LOOK_EVERY,
    ) -> Courier:
        return Courier(
            self.ledger,
            self.bucket,
            lambda: self.destinations,
            self.events,
            observer=observer,
            clock=clock,
            looks_every=lambda: looks_every,
        )

    async def deliver(self, observer: StepObserver = no_observer) -> None:
        """One pass of a courier that has just started."""
        self.ledger.work.make_all_due()
        await self.courier(observer).run(until_idle=True)

    def mails(self, name: str, folder: str = "*") -> list[Path]:
        """Return the mailbox's delivered files, of one folder ("" is INBOX) or of all."""
        root = self.root(name)
        tops = [root, *root.glob(".*/")] if folder == "*" else [root / folder]
        return sorted(
            path for top in tops for part in ("new", "cur") for path in top.glob(f"{part}/*")
        )

    def drafts(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.root(name) / "tmp").glob("*"))

    def bodies(self, name: str) -> list[bytes]:
        return [path.read_bytes() for path in self.mails(name)]

    def deliveries(self, key: str) -> dict[str, str]:
        """Return the state of each copy that the ledger knows of, by mailbox."""
        with self.ledger.store.reading() as db:
            rows = db.execute(
                "SELECT mailbox, state FROM deliveries WHERE mail = ?",
                (mail_id(self.bucket.name, key),),
            )
            return dict(rows.fetchall())

    def prepared_ago(self, seconds: float) -> None:
        """Let what is prepared have been so for a while."""
        with self.ledger.store.writing() as db:
            db.execute(
                "UPDATE deliveries SET prepared_at = ? WHERE state = 'prepared'",
                (time.time() - seconds,),
            )
