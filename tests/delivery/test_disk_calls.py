"""A call that outlasts a reload, or a ledger that is opened again, harms nobody's next draft.

When the disk answers, what was asked of it is done, whoever delivers by then: at the worst moment,
which is between the next one's commit and its rename.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from postamt_sync.delivery.filename import make_stem
from postamt_sync.delivery.mailbox_threads import MOST, HangingDiskError, MailboxThreads
from postamt_sync.delivery.pending_mail import DeliveryStep
from tests.delivery.home import Home
from tests.delivery.test_late_disk import LARGE, SMALL, Gate, settled, until
from tests.doubles.disk import FaultyDisk

CALLS = ["create", "write", "sync", "close", "unlink", "sync_directory", "rename"]
PATIENCE = 0.2


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Home]:
    """Made without haste: a real disk may take longer than PATIENCE."""
    home = Home(tmp_path, ("anna", "bruno"), FaultyDisk())
    for name in home.people:
        home.mailboxes.ready(name)
    yield home
    home.close()


@pytest.fixture
def home(patient: Home) -> Home:
    patient.patience = PATIENCE
    patient.reopen()
    return patient


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    gates: list[Gate] = []
    yield gates
    for gate in gates:
        gate.open()


def hang(home: Home, call: str, gates: list[Gate]) -> Gate:
    """Let the first such call in Anna's Maildir hang, and no other."""
    gate = Gate()
    gates.append(gate)
    home.disk.break_(call, 0, below=home.root("anna"), times=1, first=gate)
    return gate


async def stopped(home: Home, gate: Gate) -> list[MailboxThreads]:
    """Deliver until the disk hangs, and end; return the threads that are left behind."""
    threads = [t for n in home.people if (t := home.mailboxes.find(n).threads) is not None]
    running = asyncio.create_task(home.courier().run())
    await until(gate.reached.is_set)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return threads


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "body"),
    [*((call, SMALL) for call in CALLS), ("create", LARGE), ("write", LARGE)],
    ids=[*CALLS, "create, large", "write, large"],
)
async def test_what_an_earlier_life_asked_for_is_done_before_the_next_begins(
    home: Home, gates: list[Gate], call: str, body: bytes
) -> None:
    stored = home.bucket.put("mail", body)
    home.announce("mail", "anna", "bruno")
    if call == "unlink":  # what an interrupted attempt left
        stem = make_stem(home.bucket.name, "mail", stored.etag, stored.last_modified)
        (home.root("anna") / "tmp" / stem).write_bytes(b"half")
    gate = hang(home, call, gates)
    left = await stopped(home, gate)
    home.reopen()
    prepared = threading.Event()

    def at_worst(step: DeliveryStep, done: bool) -> None:
        if step is DeliveryStep.PREPARE and done and home.deliveries("mail")["anna"] == "prepared":
            prepared.set()
            gate.open()
            while any(threads.busy for threads in left):
                pass

    running = asyncio.create_task(home.courier(at_worst).run())
    await until(lambda: prepared.is_set() or home.deliveries("mail").get("bruno") == "delivered")
    gate.open()

    def look() -> bool:
        home.ledger.work.retry_now()
        return settled(home, "mail")

    await until(look)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    for name in home.people:
        assert home.bodies(name) == [body]
        assert home.drafts(name) == []


def test_nothing_more_is_begun_for_a_ledger_that_is_closed(patient: Home) -> None:
    home = patient
    threads = home.mailboxes.find("anna").threads
    assert threads is not None
    gates, done = [Gate() for _ in range(MOST)], list[str]()
    calls = [threads.begin(gate) for gate in gates]
    for gate in gates:
        gate.reached.wait(60)
    queued = threads.begin(done.append, "queued")
    home.reopen()
    with pytest.raises(HangingDiskError, match="has ended"):
        threads.begin(done.append, "begun")
    threads.later(done.append, "later")
    threads.call_or_later(done.append, "or later")
    for gate in gates:
        gate.open()
    with pytest.raises(HangingDiskError, match="has ended"):
        threads.wait(queued)
    for call in calls:
        threads.wait(call)
    assert done == []
    assert threads.busy == 0


def test_others_wait_until_what_is_under_way_has_ended(patient: Home) -> None:
    home = patient
    before = home.mailboxes.find("anna").threads
    assert before is not None
    gate = Gate()
    call = before.begin(gate)
    gate.reached.wait(60)
    home.reopen()
    now = home.mailboxes.find("anna").threads
    bruno = home.mailboxes.find("bruno").threads
    assert now is not None
    assert bruno is not None
    assert (now.hang(), now.late() is None) == (True, False)
    assert (bruno.hang(), bruno.late() is None) == (False, True)
    with pytest.raises(HangingDiskError, match="disk of anna does not answer"):
        now.call(int)
    gate.open()
    before.wait(call)
    assert now.call(int) == 0
    assert now.late() is None


def test_a_reload_knows_of_the_disk_that_hangs(tmp_path: Path) -> None:
    clock = [0.0]
    parts = {"root": tmp_path, "patience": 10.0, "clock": lambda: clock[0]}
    before, after = (MailboxThreads("anna", **parts) for _ in range(2))  # type: ignore[arg-type]
    gate = Gate()
    call = before.begin(gate)
    assert not after.hang(), "a disk that is only busy holds up nobody"
    clock[0] = 11.0
    assert after.hang()
    gate.open()
    before.wait(call)
    assert not after.hang()
