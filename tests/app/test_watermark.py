"""How far a box says it has come, and what it notes of sealing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postamt_sync.app.watermark import (
    LONGEST_REST,
    MARGIN,
    TOLD_EVERY,
    WatermarkWriter,
    note_switched_off,
)
from postamt_sync.config import Settings, load
from postamt_sync.errors import UsageError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.rows import AbsenceState
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.seal_table import written_time
from postamt_sync.seal.one_seal import Outcome
from postamt_sync.seal.records import SealRecords, SealState
from tests.doubles.inbox import MemoryLog
from tests.doubles.moto import Moto
from tests.support.household import configure

NOW = 1_790_000_000.0
DAY = 86_400.0


class Scene:
    def __init__(self, settings: Settings, dynamodb: Any) -> None:
        self.settings = settings
        self.now = NOW
        self.table = f"seal-{uuid.uuid4().hex}"
        dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.dynamodb = dynamodb
        self.records = SealRecords(dynamodb, self.table)
        self.ledger = Ledger.open(settings.state_dir)
        self.start()

    def start(self) -> None:
        """A new process."""
        events = Events(MemoryLog())
        self.mark = WatermarkWriter(
            self.settings, self.ledger, self.records, events, clock=lambda: self.now
        )

    def put(self, name: str, state: ObjectState, at: float | None, **more: Any) -> None:
        bucket, key = self.settings.bucket.name, more.pop("key", f"incoming/{name}")
        self.ledger.arrivals.record(
            [Arrival(bucket, key, Source.RECONCILE, etag="e", last_modified=at, size=1)]
        )
        with self.ledger.store.writing() as db:
            db.execute(
                "UPDATE objects SET state = ?, absence = ? WHERE key = ?",
                (state, more.pop("absence", AbsenceState.NONE), key),
            )

    async def reconcile(self) -> float | None:
        self.mark.reconciled(self.now)
        await self.mark.look()
        return self.told()

    def told(self) -> float | None:
        found = self.records.watermark()
        return found.settled_before.timestamp() if found else None

    def source(self) -> tuple[str, str]:
        found = next((s for s in self.ledger.overview.sources() if s.source == "seal"), None)
        return ((found.problem or ""), (found.detail or "")) if found else ("", "")


@pytest.fixture
def scene(tmp_path: Path, cloud: Moto) -> Iterator[Scene]:
    made = Scene(load(configure(tmp_path), {}), cloud.client("dynamodb"))
    yield made
    made.ledger.close()


async def test_without_a_full_listing_nothing_is_told(scene: Scene) -> None:
    await scene.mark.look()
    assert scene.told() is None


async def test_when_all_is_settled_it_is_the_listing_less_a_margin(scene: Scene) -> None:
    scene.put("a", ObjectState.DELIVERED, NOW - 5 * DAY)
    assert await scene.reconcile() == NOW - MARGIN
    assert "settled before 2026-" in scene.source()[1]


SETTLED = ("delivered", "adopted", "skipped", "gone", "absent", "sealed")


@pytest.mark.parametrize("state", ObjectState)
async def test_what_is_not_settled_holds_it_back(scene: Scene, state: ObjectState) -> None:
    scene.put("old", ObjectState.DELIVERED, NOW - 9 * DAY)
    scene.put("x", state, NOW - 5 * DAY)
    held = NOW - 5 * DAY if state not in SETTLED else NOW - MARGIN
    assert await scene.reconcile() == held
    assert ("held back by incoming/x" in scene.source()[1]) is (state not in SETTLED)


async def test_what_is_absent_and_nobody_has_looked_at_holds_it_back(scene: Scene) -> None:
    scene.put("x", ObjectState.ABSENT, NOW - 5 * DAY, absence=AbsenceState.UNSEEN)
    assert await scene.reconcile() == NOW - 5 * DAY


async def test_it_says_of_which_mail_it_speaks(scene: Scene) -> None:
    """Else what it says of one prefix would be believed of the next one, until it starts over."""
    await scene.reconcile()
    told = scene.records.watermark()
    assert told is not None
    assert told.place == f"{scene.settings.bucket.name}/incoming/"


async def test_what_someone_has_decided_on_holds_nothing_back(scene: Scene) -> None:
    scene.put("x", ObjectState.QUARANTINED, NOW - 5 * DAY)
    scene.ledger.repair.leave_quarantined("x")
    assert scene.ledger.repair.find("x").state == "adopted"
    assert await scene.reconcile() == NOW - MARGIN
    with pytest.raises(UsageError, match="is not quarantined, it is adopted"):
        scene.ledger.repair.leave_quarantined("x")


async def test_what_was_sent_is_not_sealed_and_holds_nothing_back(scene: Scene) -> None:
    scene.put("x", ObjectState.WAITING, NOW - 5 * DAY, key="sent/anna/2026-09/x")
    assert await scene.reconcile() == NOW - MARGIN


async def test_what_s3_s_time_is_not_known_of_counts_as_late(scene: Scene) -> None:
    scene.put("x", ObjectState.WAITING, None)
    with scene.ledger.store.writing() as db:
        db.execute("UPDATE objects SET first_seen = ?", (NOW - DAY,))
    assert await scene.reconcile() == NOW - 2 * DAY


async def test_it_goes_back_at_once_where_older_mail_is_open_again(scene: Scene) -> None:
    """After a redelivery, lost files, or by a box that starts over beside an old word of another:
    what is sealed meanwhile could not be fetched."""
    assert await scene.reconcile() == NOW - MARGIN
    scene.put("late", ObjectState.WAITING, NOW - 9 * DAY)
    scene.now += 60
    await scene.mark.look()
    assert scene.told() == NOW - 9 * DAY
    scene.start()
    scene.put("older", ObjectState.QUARANTINED, NOW - 99 * DAY)
    assert await scene.reconcile() == NOW - 99 * DAY


async def test_what_a_clock_that_ran_ahead_said_does_not_last(scene: Scene) -> None:
    scene.now = NOW + 30 * DAY
    await scene.reconcile()
    scene.now = NOW
    scene.start()
    assert await scene.reconcile() == NOW - MARGIN


async def test_it_follows_what_is_settled_later(scene: Scene) -> None:
    scene.put("x", ObjectState.WAITING, NOW - 5 * DAY)
    await scene.reconcile()
    scene.put("x", ObjectState.DELIVERED, NOW - 5 * DAY)
    await scene.mark.look()
    assert scene.told() == NOW - MARGIN


async def test_a_rebuild_that_has_not_ended_says_nothing(scene: Scene) -> None:
    scene.ledger.rebuild.begin([])
    assert await scene.reconcile() is None


async def test_it_is_told_again_though_nothing_changed(scene: Scene) -> None:
    await scene.reconcile()
    scene.now += TOLD_EVERY + 1
    await scene.mark.look()
    told = scene.records.watermark()
    assert told is not None
    assert told.written_at.timestamp() == NOW + TOLD_EVERY + 1


async def test_a_table_that_cannot_be_written_is_noted_and_tried_again(
    scene: Scene, cloud: Moto
) -> None:
    good = scene.records
    scene.records = SealRecords(cloud.client("dynamodb"), "nobodys-seal")
    scene.start()
    scene.mark.reconciled(NOW)
    await scene.mark.look()
    assert "There is no table" in scene.source()[0]
    scene.records = good
    scene.start()
    assert await scene.reconcile() == NOW - MARGIN
    assert scene.source()[0] == ""


STATES = {
    "refused": (SealState(datetime.fromtimestamp(NOW, UTC), refused="no proof"), "no proof"),
    "unproved": (SealState(datetime.fromtimestamp(NOW, UTC), refused="unproved"), "seal prove"),
    "its key": (SealState(datetime.fromtimestamp(NOW, UTC), refused="key"), "seal check"),
    "stale": (
        SealState(datetime.fromtimestamp(NOW, UTC) - LONGEST_REST - timedelta(hours=1)),
        "has not run since",
    ),
    "of other mail": (
        SealState(datetime.fromtimestamp(NOW - DAY, UTC), refused="other-mail"),
        "bucket or prefix",
    ),
    "nothing but failures": (
        SealState(datetime.fromtimestamp(NOW, UTC), failed=2, reason="AccessDenied"),
        "2 mails could not be sealed: AccessDenied.",
    ),
    "without twin": (
        SealState(datetime.fromtimestamp(NOW, UTC), without_twin=2),
        "2 mails will expire",
    ),
    "one without twin": (
        SealState(datetime.fromtimestamp(NOW, UTC), without_twin=1, twinless_key="incoming/a\x1b"),
        "1 mail will expire without a sealed copy (incoming/a",
    ),
    "without versions": (
        SealState(datetime.fromtimestamp(NOW, UTC), refused="unversioned"),
        "keeps no versions",
    ),
    "one that fails each day": (
        SealState(
            datetime.fromtimestamp(NOW, UTC),
            sealed=40,
            failed=1,
            reason="AccessDenied",
            failed_key="incoming/a",
            failing_since=written_time(datetime.fromtimestamp(NOW, UTC) - LONGEST_REST),
        ),
        "incoming/a could not be sealed since 2026-09-19: AccessDenied",
    ),
}


@pytest.mark.parametrize(("state", "said"), STATES.values(), ids=STATES)
async def test_what_is_wrong_with_the_function_is_shown(
    scene: Scene, state: SealState, said: str
) -> None:
    scene.records.write_state(state)
    await scene.reconcile()
    assert said in scene.source()[0]
    assert "\x1b" not in "".join(scene.source())


async def test_one_that_fails_once_is_shown_and_no_trouble(scene: Scene) -> None:
    ran = datetime.fromtimestamp(NOW, UTC)
    since = written_time(ran - timedelta(days=1))
    state = SealState(ran, sealed=4, failed=1, failed_key="incoming/a", failing_since=since)
    scene.records.write_state(state)
    await scene.reconcile()
    problem, detail = scene.source()
    assert problem == ""
    assert "incoming/a was not" in detail


async def test_why_mail_cannot_be_sealed_is_shown(scene: Scene) -> None:
    ran = datetime.fromtimestamp(NOW, UTC)
    scene.records.write_state(
        SealState(ran, skipped=3, skipped_key="incoming/a", skipped_reason=Outcome.ENVELOPED)
    )
    await scene.reconcile()
    assert "3 mails cannot be sealed (incoming/a: it was encrypted" in scene.source()[1]


@pytest.mark.parametrize("word", ["no-watermark", "stale-watermark"])
async def test_what_it_missed_of_us_is_no_trouble_once_it_is_told(scene: Scene, word: str) -> None:
    ran = datetime.fromtimestamp(NOW - DAY, UTC)
    scene.records.write_state(SealState(ran, refused=word))
    await scene.reconcile()
    assert scene.source()[0] == ""
    scene.records.write_state(SealState(ran + timedelta(days=2), refused=word))
    await scene.mark.look()
    assert "Nothing is sealed" in scene.source()[0]


async def test_switched_off_it_complains_no_more(scene: Scene) -> None:
    note_switched_off(scene.ledger, Events(MemoryLog()))
    assert scene.source() == ("", "")
    scene.records.write_state(STATES["refused"][0])
    await scene.reconcile()
    note_switched_off(scene.ledger, Events(MemoryLog()))
    assert scene.source() == ("", "switched off; what is sealed stays so")


async def test_how_far_the_function_is_is_shown(scene: Scene) -> None:
    ran = datetime.fromtimestamp(NOW, UTC)
    scene.records.write_state(SealState(ran, sealed=100, backlog=7, skipped=1))
    await scene.reconcile()
    problem, detail = scene.source()
    assert problem == ""
    assert "100 sealed, 7 to go, 1 mail cannot be sealed" in detail


async def test_only_the_two_items_of_its_own_are_asked_for(scene: Scene) -> None:
    """As its right says, by dynamodb:LeadingKeys."""
    asked: list[Any] = []

    def note(params: Any, **_: Any) -> None:
        asked.append(params["Key"]["id"]["S"])

    events = scene.dynamodb.meta.events
    events.register("provide-client-params.dynamodb.*", note)
    try:
        await scene.reconcile()
    finally:
        events.unregister("provide-client-params.dynamodb.*", note)
    assert set(asked) == {"watermark", "state"}


def test_a_table_that_is_not_there_is_told(scene: Scene) -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    with pytest.raises(ClientError):
        SealRecords(scene.dynamodb, "nobodys").move_watermark(at, at, "mail/incoming/")
