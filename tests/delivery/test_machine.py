"""Whatever happens in whatever order: each content is in each mailbox of its envelope, once.

A real ledger and real Maildirs, a real courier, a bucket in memory. Rules announce, overwrite,
deliver, stop dead at any durable step (with and without a loss of power), break disks and use the
mailboxes as mail clients do.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from postamt_sync.delivery.fetcher import SMALL
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.pending_mail import DeliveryStep
from postamt_sync.mail.arrival import Arrival, Source, Verdicts, mail_id
from tests.delivery.home import BUCKET, LONG_AGO, Home
from tests.doubles.disk import PowerCut, VolatileDisk
from tests.support.campaign import examples

pytestmark = pytest.mark.slow

PEOPLE = ("anna", "bruno", "carla")
KEYS = tuple(f"incoming/{name}" for name in "abcd")
# One of them is streamed, the others are written in one go.
CONTENTS = (b"S: 1\r\n\r\none", b"S: 2\n\ntwo", b"", b"S: 3\r\n\r\n" + b"x" * SMALL)

keys = st.sampled_from(KEYS)
contents = st.sampled_from(CONTENTS)
people = st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True)
person = st.sampled_from(PEOPLE)
verdicts = st.sampled_from([None, Verdicts(spam="FAIL"), Verdicts(spam="PASS")])


class DeliveryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="machine"))
        self.disk = VolatileDisk()
        self.home = Home(self.base, PEOPLE, self.disk)
        self.home.bucket.chunk = 400_000
        self.named: dict[str, set[str]] = {key: set() for key in KEYS}
        """Whom receipts have named."""
        self.editions: Counter[str] = Counter()
        self.expunged: Counter[tuple[str, str, int, str]] = Counter()
        self.time = LONG_AGO

    def teardown(self) -> None:
        try:
            self.all_is_well()
        finally:
            self.home.close()
            shutil.rmtree(self.base)

    @initialize(
        first=st.lists(st.tuples(contents, people), min_size=2, max_size=4),
        whole_from=st.sampled_from([None, 2]),
    )
    def begin(self, first: list[tuple[bytes, list[str]]], whole_from: int | None) -> None:
        self.disk.whole_from = whole_from
        for key, (body, who) in zip(KEYS, first, strict=False):
            self.store(key, body)
            self.receipt(key, who, None)

    # What happens in the cloud

    @rule(key=keys, body=contents)
    def store(self, key: str, body: bytes) -> None:
        self.time += 1
        self.home.bucket.put(key, body, self.time)

    @rule(key=keys)
    def store_again(self, key: str) -> None:
        if key in self.home.bucket.objects:
            self.store(key, self.home.bucket.objects[key].body)

    # What we hear of it, any number of times

    @rule(key=keys, who=people, verdicts=verdicts)
    def receipt(self, key: str, who: list[str], verdicts: Verdicts | None) -> None:
        if key in self.home.bucket.objects:
            self.home.announce(key, *who, verdicts=verdicts)
            self.named[key] |= set(who)

    @rule(key=keys, how=st.sampled_from(["event", "listing", "twins"]))
    def hear(self, key: str, how: str) -> None:
        if how == "event" and key in self.home.bucket.objects:
            stored = self.home.bucket.objects[key]
            self.home.announce(key, etag=stored.etag, size=stored.size)
        elif how == "listing":
            self.list_all()
        elif how == "twins":
            self.home.ledger.arrivals.record_twins(
                Arrival(BUCKET, key, Source.POLL, etag=o.etag)
                for key, o in sorted(self.home.bucket.objects.items())
            )

    def list_all(self) -> None:
        self.home.ledger.arrivals.record(
            Arrival(BUCKET, key, Source.RECONCILE, o.etag, o.size, o.last_modified)
            for key, o in sorted(self.home.bucket.objects.items())
        )

    # What we do

    @rule()
    def deliver(self) -> None:
        asyncio.run(self.home.deliver())

    @rule(
        step=st.sampled_from(DeliveryStep),
        done=st.booleans(),
        nth=st.sampled_from([1, 1, 1, 2, 3]),
        power=st.booleans(),
    )
    def stop_dead(self, step: DeliveryStep, done: bool, nth: int, power: bool) -> None:
        """Deliver until the nth time of a step; then be a new process, or a new machine."""
        asyncio.run(self._deliver_until(step, done, nth))
        self._let_threads_die()
        if self.disk.off:
            self.disk.abandon()
            if power:
                self.disk.lose()
            self.disk = self.home.disk = self.disk.next_boot()
        self.home.reopen()

    def _let_threads_die(self) -> None:
        """A mailbox's threads die with their machine: each ends at its next step or call."""
        for name in PEOPLE:
            threads = self.home.mailboxes.find(name).threads
            while threads is not None and threads.busy:
                time.sleep(0.001)

    async def _deliver_until(self, step: DeliveryStep, done: bool, nth: int) -> None:
        loop, dead, disk = asyncio.get_running_loop(), asyncio.Event(), self.disk
        loop.set_exception_handler(lambda *_: None)  # a dead machine logs nothing
        left = nth

        def observer(at: DeliveryStep, is_done: bool) -> None:
            nonlocal left
            left -= (at, is_done) == (step, done)
            if left <= 0 and not disk.off:
                disk.off = True
                loop.call_soon_threadsafe(dead.set)
            if disk.off:
                raise PowerCut

        self.home.ledger.work.make_all_due()
        running = asyncio.create_task(self.home.courier(observer).run(until_idle=True))
        dying = asyncio.create_task(dead.wait())
        await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        dying.cancel()
        outcome = (await asyncio.gather(running, dying, return_exceptions=True))[0]
        assert outcome is None or isinstance(outcome, (PowerCut, asyncio.CancelledError)), outcome

    @rule(key=keys)
    def redeliver(self, key: str) -> None:
        if self.known(key):
            self.home.ledger.repair.redeliver(key)
            self.editions[key] += 1

    # What goes wrong meanwhile

    @rule(
        who=person,
        fault=st.sampled_from(
            [
                ("write", errno.ENOSPC),
                ("sync", errno.EIO),
                ("rename", errno.EROFS),
                ("sync_directory", errno.EIO),
                ("create", errno.EACCES),
            ]
        ),
        times=st.none() | st.integers(1, 3),
    )
    def break_disk(self, who: str, fault: tuple[str, int], times: int | None) -> None:
        self.disk.break_(*fault, below=self.home.root(who), times=times)

    @rule(who=person, what=st.sampled_from(["mend", "mount", "unmount"]))
    def change_disks(self, who: str, what: str) -> None:
        root = self.home.root(who)
        if what == "mend":
            self.disk.mend()
        elif what == "mount":
            self.mount(who)
        elif root.exists() and self.home.ledger.work.knows_maildir(root):
            root.rename(self.unmounted(who))

    def mount(self, who: str) -> None:
        if self.unmounted(who).exists():
            assert not self.home.root(who).exists()
            self.unmounted(who).rename(self.home.root(who))

    # What mail clients do; their own syncs make durable what they touch

    @rule(
        number=st.integers(0, 1000),
        what=st.sampled_from(["flag", "move", "expunge", "delete folder"]),
    )
    def use(self, number: int, what: str) -> None:
        """What is drawn must not depend on how far the threads came: that is never the same."""
        owners = [(who, path) for who in PEOPLE for path in self.home.mails(who)]
        if not owners:
            return
        who, path = owners[number % len(owners)]
        root = self.home.root(who)
        if what == "flag":
            name = path.name.partition(":")[0]
            path.rename(path.parent.parent / "cur" / f"{name}:2,S")
        elif what == "move":
            (root / ".Archive" / "cur").mkdir(parents=True, exist_ok=True)
            name = path.name.partition(":")[0]
            path.rename(root / ".Archive" / "cur" / f"{name}:2,")
        elif what == "expunge":
            self.expunge(who, path)
        elif path.parent.parent != root:
            for lost in self.home.mails(who, path.parent.parent.name):
                self.expunge(who, lost)
            shutil.rmtree(path.parent.parent)

    def expunge(self, who: str, path: Path) -> None:
        self.expunged[self.identity(who, path)] += 1
        path.unlink()

    # What must be true

    def identity(self, who: str, path: Path) -> tuple[str, str, int, str]:
        name = parse_name(path.name)
        assert name is not None, path
        body = path.read_bytes()
        assert name.size == len(body), path
        return (who, name.mail_id, name.edition, hashlib.sha256(body).hexdigest())

    def delivered(self) -> Counter[tuple[str, str, int, str]]:
        here = Counter(self.identity(w, path) for w in PEOPLE for path in self.home.mails(w))
        return here + self.expunged

    def known(self, key: str) -> bool:
        return any(task.key == key for task in self.objects())

    def objects(self) -> list[Any]:
        with self.home.ledger.store.reading() as db:
            return [_Row(key, state) for key, state in db.execute("SELECT key, state FROM objects")]

    @invariant()
    def nothing_comes_twice(self) -> None:
        twice = {what for what, count in self.delivered().items() if count > 1}
        assert not twice

    @invariant()
    def nobody_gets_what_is_not_theirs(self) -> None:
        # The default mailbox has what was found before any receipt named anybody.
        allowed = {
            (who, mail_id(BUCKET, key)) for key in KEYS for who in self.named[key] | {PEOPLE[0]}
        }
        assert {(who, mail) for who, mail, _, _ in self.delivered()} <= allowed

    def all_is_well(self) -> None:
        """When the world is whole again and all was listed once more, nothing is missing."""
        self.disk.mend()
        for who in PEOPLE:
            self.mount(who)
        self.list_all()
        for _ in range(4):
            self.deliver()
        delivered = self.delivered()
        for key, stored in self.home.bucket.objects.items():
            sha256 = hashlib.sha256(stored.body).hexdigest()
            for who in self.named[key] or {PEOPLE[0]}:
                what = (who, mail_id(BUCKET, key), self.editions[key], sha256)
                assert delivered[what] == 1, (who, key)
        self.nothing_comes_twice()
        self.nobody_gets_what_is_not_theirs()
        assert {row.state for row in self.objects()} <= {"delivered"}
        for key in KEYS:
            assert set(self.home.deliveries(key).values()) <= {"delivered"}
        assert not self.disk.open_files
        assert not self.home.log.events("error")

    def unmounted(self, who: str) -> Path:
        (self.base / "unmounted").mkdir(exist_ok=True)
        return self.base / "unmounted" / who


class _Row:
    def __init__(self, key: str, state: str) -> None:
        self.key = key
        self.state = state


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = settings(
    max_examples=examples(40),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
