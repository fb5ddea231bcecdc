"""Mail without a receipt, an index that knows one, and a real courier between them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.backoff import LONGEST_BREAK
from postamt_sync.delivery.courier import Courier
from postamt_sync.errors import MisconfiguredError, PostamtError
from postamt_sync.index.lookups import MOST, IndexLookups
from postamt_sync.ledger.envelope_lookups import PATIENCE
from postamt_sync.mail.arrival import Arrival, Envelope, Source, Verdicts
from tests.delivery.home import BUCKET, LONG_AGO, Home
from tests.doubles.notices import stored

GRACE = 900.0
ANNA, BRUNO = "anna@home.example", "bruno@home.example"
TO_BRUNO = b"From: x@y.example\r\nTo: bruno@home.example\r\n\r\nhello"
TO_NOBODY = b"From: x@y.example\r\nTo: list@y.example\r\n\r\nhello"


class MemoryIndex:
    """The index; `trouble` is raised instead of an answer."""

    def __init__(self) -> None:
        self.known: dict[str, Envelope] = {}
        self.asked: list[list[str]] = []
        self.trouble: PostamtError | None = None

    async def envelopes(self, keys: Sequence[str]) -> dict[str, Envelope]:
        self.asked.append(list(keys))
        if self.trouble:
            raise self.trouble
        return {key: self.known[key] for key in keys if key in self.known}


class Scene:
    """A home with an index, and the clocks in hand."""

    def __init__(self, base: Path) -> None:
        self.home = Home(base, grace=GRACE)
        self.index = MemoryIndex()
        self.now = time.monotonic()
        self.wall = time.time()
        self.woken = 0
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self.start()

    def start(self) -> None:
        """What a new process begins with."""
        self.home.destinations = replace(self.home.destinations, has_index=True)
        self.envelopes = IndexLookups(
            self.index,
            self.home.ledger,
            self.home.events,
            grace=lambda: GRACE,
            wake=self.wake,
            clock=lambda: self.now,
            wall=lambda: self.wall,
            sleep=self.pause,
        )

    def wake(self) -> None:
        self.woken += 1

    async def pause(self, seconds: float) -> None:
        await self.sleep(seconds)

    def put(self, name: str, body: bytes, age: float = 1e6) -> Arrival:
        """Store a mail so long ago; return it as a listing shows it."""
        stored_at = self.wall - age
        put = self.home.bucket.put(f"incoming/{name}", body, stored_at)
        return Arrival(BUCKET, f"incoming/{name}", Source.RECONCILE, put.etag, put.size, stored_at)

    async def find(self, *arrivals: Arrival) -> None:
        """Take a listing in, as the survey does."""
        self.home.ledger.arrivals.record(await self.envelopes.complete(arrivals))

    async def deliver(self) -> None:
        courier = Courier(
            self.home.ledger,
            self.home.bucket,
            lambda: self.home.destinations,
            self.home.events,
            clock=lambda: self.now,
        )
        await courier.run(until_idle=True)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds

    def where(self) -> dict[str, int]:
        counts = {name: len(self.home.mails(name)) for name in ("anna", "bruno")}
        return {name: count for name, count in counts.items() if count}

    def evidence(self) -> list[str]:
        return [f["evidence"] for _, event, f in self.home.log.said if event == "routed"]

    def source(self) -> Any:
        (source,) = [s for s in self.home.ledger.overview.sources() if s.source == "index"]
        return source


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.home.close()


async def test_what_a_listing_finds_is_routed_by_the_receipt_in_the_index(scene: Scene) -> None:
    """A Bcc: To names nobody of ours, and SES's own Received one of the two."""
    scene.index.known["incoming/x"] = Envelope((ANNA, BRUNO), verdicts=Verdicts(spam="FAIL"))
    await scene.find(scene.put("x", stored("x", recipient=ANNA)))
    await scene.deliver()
    assert scene.where() == {"anna": 1, "bruno": 1}
    assert len(scene.home.mails("bruno", ".Junk")) == 1
    assert scene.evidence() == ["receipt"]
    assert scene.home.bucket.gets == 1
    assert scene.home.ledger.envelope_lookups.count() == 0


@pytest.mark.slow
async def test_a_page_of_a_backfill_is_asked_for_at_once_and_only_once(scene: Scene) -> None:
    page = [scene.put(f"{n:03}", stored(f"{n:03}")) for n in range(60)]
    page += [scene.put(f"other{n:03}", TO_BRUNO) for n in range(60)]
    await scene.find(*page)
    await scene.deliver()
    scene.pass_by(10 * GRACE)
    await scene.envelopes.ask()
    assert [len(keys) for keys in scene.index.asked] == [120]
    assert scene.where() == {"anna": 60, "bruno": 60}
    assert set(scene.evidence()) == {"received", "headers"}
    assert scene.home.bucket.gets == 120


@pytest.mark.slow
async def test_a_young_mail_is_delivered_by_its_received_and_asked_for_after_its_grace(
    scene: Scene,
) -> None:
    await scene.find(scene.put("x", stored("x", recipient=ANNA), age=10))
    await scene.deliver()
    assert scene.where() == {"anna": 1}
    scene.index.known["incoming/x"] = Envelope((ANNA, BRUNO))
    scene.pass_by(GRACE - 20)
    await scene.envelopes.ask()
    assert scene.where() == {"anna": 1}
    scene.pass_by(15)
    await scene.envelopes.ask()
    assert scene.woken == 1
    await scene.deliver()
    assert scene.where() == {"anna": 1, "bruno": 1}
    assert len(scene.index.asked) == 2


async def test_a_mail_that_nothing_places_waits_for_the_index(scene: Scene) -> None:
    await scene.find(scene.put("x", TO_BRUNO, age=10))
    await scene.deliver()
    scene.pass_by(GRACE - 11)
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {}
    scene.index.known["incoming/x"] = Envelope((ANNA,))
    scene.pass_by(2)
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {"anna": 1}
    assert scene.evidence() == ["receipt"]


async def test_what_the_index_does_not_know_either_goes_by_to_and_cc(scene: Scene) -> None:
    await scene.find(scene.put("x", TO_BRUNO, age=10), scene.put("y", TO_NOBODY, age=10))
    await scene.deliver()
    scene.pass_by(GRACE)
    await scene.deliver()
    assert scene.where() == {}  # the index comes first
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {"anna": 1, "bruno": 1}
    assert sorted(scene.evidence()) == ["default", "headers"]
    assert scene.home.ledger.envelope_lookups.count() == 0


async def test_a_mail_that_has_waited_does_not_wait_again_for_a_mailbox_that_failed(
    scene: Scene,
) -> None:
    both = b"To: anna@home.example, bruno@home.example\r\n\r\nhello"
    await scene.find(scene.put("x", both))
    root = scene.home.root("bruno")
    root.parent.mkdir(exist_ok=True)
    root.write_text("in the way")
    await scene.deliver()
    assert scene.where() == {"anna": 1}
    root.unlink()
    scene.index.trouble = MisconfiguredError("no", "no")
    scene.pass_by(60)
    await scene.deliver()
    assert scene.where() == {"anna": 1, "bruno": 1}
    assert scene.home.ledger.envelope_lookups.count() == 0


async def test_what_was_announced_without_a_receipt_is_asked_for_too(scene: Scene) -> None:
    """S3's event came, the receipt did not: no listing is needed to ask."""
    scene.put("x", stored("x", recipient=ANNA), age=5)
    scene.home.announce("incoming/x")
    await scene.deliver()
    scene.index.known["incoming/x"] = Envelope((ANNA, BRUNO))
    scene.pass_by(GRACE)
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {"anna": 1, "bruno": 1}


async def test_a_receipt_that_comes_by_itself_spares_the_question(scene: Scene) -> None:
    await scene.find(scene.put("x", stored("x", recipient=ANNA), age=5))
    await scene.deliver()
    scene.home.announce("incoming/x", "anna", "bruno")
    await scene.deliver()
    scene.pass_by(2 * GRACE)
    await scene.envelopes.ask()
    assert scene.where() == {"anna": 1, "bruno": 1}
    assert len(scene.index.asked) == 1  # as it was found


async def test_an_answer_that_tells_what_is_known_costs_no_second_fetch(scene: Scene) -> None:
    await scene.find(scene.put("x", stored("x", recipient=ANNA), age=5))
    await scene.deliver()
    scene.index.known["incoming/x"] = Envelope((ANNA,))
    scene.pass_by(GRACE)
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.home.bucket.gets == 1
    assert scene.home.state("incoming/x") == "delivered"


async def test_an_index_that_cannot_be_asked_keeps_no_mail_from_being_found(scene: Scene) -> None:
    scene.index.trouble = MisconfiguredError("The credentials may not ask.", "Allow it.")
    await scene.find(scene.put("x", stored("x", recipient=ANNA)))
    await scene.find(scene.put("y", TO_BRUNO))
    assert len(scene.index.asked) == 1  # the second page does not run into the same wall
    await scene.deliver()
    assert scene.where() == {"anna": 1}  # its Received says so; the other waits
    assert scene.source().problem == "The credentials may not ask. Allow it."
    scene.index.trouble = None
    scene.index.known["incoming/x"] = Envelope((ANNA, BRUNO))
    scene.pass_by(60)
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {"anna": 1, "bruno": 2}
    assert sorted(scene.evidence()) == ["headers", "receipt", "received"]
    assert scene.source().problem is None


@pytest.mark.slow
async def test_nobody_waits_forever_for_an_index_that_is_silent(scene: Scene) -> None:
    scene.index.trouble = MisconfiguredError("There is no table.", "Make it.")
    await scene.find(scene.put("x", TO_BRUNO, age=10))
    await scene.deliver()
    end = scene.wall + GRACE + PATIENCE
    while scene.wall < end:
        assert scene.where() == {}
        scene.pass_by(LONGEST_BREAK)
        await scene.envelopes.ask()
        await scene.deliver()
    assert scene.where() == {"bruno": 1}
    assert scene.evidence() == ["headers"]
    assert scene.woken
    scene.index.trouble = None
    scene.index.known["incoming/x"] = Envelope((ANNA, BRUNO))
    scene.pass_by(LONGEST_BREAK)
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {"anna": 1, "bruno": 1}  # late, and still not lost


@pytest.mark.slow
async def test_waiting_ends_also_where_every_attempt_is_a_process_of_its_own(
    scene: Scene,
) -> None:
    """As with `sync` in a cron table, whose monotonic patience would start over each time."""
    scene.index.trouble = MisconfiguredError("There is no table.", "Make it.")
    await scene.find(scene.put("x", TO_BRUNO, age=10))
    sync_runs = 0
    while not scene.where():
        sync_runs += 1
        scene.pass_by(3600)
        scene.home.reopen()
        scene.start()
        scene.home.ledger.work.make_all_due()
        await scene.envelopes.restart()
        await scene.envelopes.ask()
        await scene.deliver()
        assert sync_runs < 20
    assert sync_runs * 3600 > PATIENCE
    assert scene.evidence() == ["headers"]


async def test_a_pass_of_its_own_goes_on_from_the_answer(scene: Scene) -> None:
    await scene.find(scene.put("x", TO_BRUNO, age=10))
    await scene.deliver()
    scene.pass_by(2 * GRACE)
    scene.home.reopen()
    scene.start()
    scene.home.ledger.work.make_all_due()
    await scene.envelopes.restart()
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {"bruno": 1}


async def test_a_clock_that_jumps_ahead_does_not_end_the_patience_of_an_index_that_answers(
    scene: Scene,
) -> None:
    await scene.find(scene.put("x", TO_BRUNO, age=10))
    await scene.deliver()
    scene.wall += 1e9
    await scene.envelopes.ask()
    await scene.deliver()
    assert scene.where() == {}
    assert len(scene.index.asked) == 1


async def test_more_questions_than_memory_should_hold_are_asked_in_parts(scene: Scene) -> None:
    count = MOST + 5
    scene.index.trouble = MisconfiguredError("no", "no")
    await scene.find(*[scene.put(f"{n}", b"x") for n in range(count)])
    with scene.home.ledger.store.writing() as db:
        db.execute("INSERT INTO questions SELECT mail, 0 FROM objects")
    scene.index.trouble = None
    await scene.envelopes.ask()
    assert [len(keys) for keys in scene.index.asked[1:]] == [MOST, 5]


async def test_no_mail_no_question(scene: Scene) -> None:
    await scene.envelopes.complete([])
    await scene.envelopes.complete([scene.put("AMAZON_SES_SETUP_NOTIFICATION", b"x")])
    told = replace(scene.put("x", b"x"), envelope=Envelope((ANNA,)))
    assert await scene.envelopes.complete([told]) == [told]
    assert scene.index.asked == []


async def test_a_twin_s_age_is_not_known_so_it_is_asked_again(scene: Scene) -> None:
    found = Arrival(BUCKET, "incoming/x", Source.POLL, etag="e")
    (completed,) = await scene.envelopes.complete([found])
    assert not completed.asked
    scene.index.known["incoming/x"] = Envelope((BRUNO,))
    scene.put("x", stored("x", recipient=BRUNO), age=5)
    scene.home.ledger.arrivals.record_twins(await scene.envelopes.complete([found]))
    await scene.deliver()
    assert scene.where() == {"bruno": 1}
    assert scene.evidence() == ["receipt"]


async def test_running_it_takes_up_old_questions_as_soon_as_the_ledger_lets_it(
    scene: Scene,
) -> None:
    await scene.find(scene.put("x", TO_BRUNO))
    scene.index.asked.clear()
    with scene.home.ledger.store.writing() as db:
        db.execute("INSERT INTO questions SELECT mail, 1e15 FROM objects")
        db.execute("ALTER TABLE questions RENAME TO hidden")

    async def repair(seconds: float) -> None:
        with scene.home.ledger.store.writing() as db:
            db.execute("ALTER TABLE hidden RENAME TO questions")
        scene.sleep = asyncio.sleep

    scene.sleep = repair
    task = asyncio.create_task(scene.envelopes.run())
    while not scene.index.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert scene.index.asked == [["incoming/x"]]
    assert scene.home.log.events("error") == ["envelopes cannot be asked for"]


async def test_without_an_index_the_grace_alone_decides(scene: Scene) -> None:
    scene.home.destinations = replace(scene.home.destinations, has_index=False)
    scene.home.bucket.put("incoming/x", TO_BRUNO, LONG_AGO)
    scene.home.announce("incoming/x")
    await scene.deliver()
    assert scene.where() == {"bruno": 1}
    assert scene.home.ledger.envelope_lookups.count() == 0
