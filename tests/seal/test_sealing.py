"""A run over the bucket: never ahead of the box, in the time there is, and told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from postamt_sync.seal.earlier_seals import ALL, EarlierSeals
from postamt_sync.seal.one_seal import Outcome, Sealer
from postamt_sync.seal.records import SealState, SettledMail
from postamt_sync.seal.sealer_bucket import PlainVersion
from postamt_sync.seal.sealing import (
    ENOUGH_FAILURES,
    LARGE,
    LAST_WORDS,
    RESERVE,
    Refusal,
    SealingRun,
)
from tests.doubles.versioned_bucket import VersionedBucket
from tests.seal.conftest import Household, MemoryRecords

NOW = datetime(2026, 11, 28, 3, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
AFTER = 14


@dataclass
class Scene:
    household: Household
    directory: Path
    bucket: VersionedBucket = field(default_factory=lambda: VersionedBucket(NOW))
    records: MemoryRecords = field(default_factory=MemoryRecords)
    said: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)
    seconds: float = 900.0
    each: float = 0.0
    large: threading.Lock = field(default_factory=threading.Lock)
    keeps_versions: bool = True
    forgotten: list[str] | None = None
    """What the index was told of; None where it is to keep its words."""

    def __post_init__(self) -> None:
        self.records.prove(self.household.keys)
        self.records.settle(NOW - DAY, NOW)

    def store(self, name: str, days: float, body: bytes | None = None) -> None:
        """Put a mail of so many days ago."""
        self.bucket.now = NOW - timedelta(days=days)
        self.bucket.store(f"incoming/{name}", body or name.encode())
        self.bucket.now = NOW

    def run(self, now: datetime = NOW, workers: int = 2) -> SealState:
        left = self.seconds

        def remaining() -> float:
            nonlocal left
            left -= self.each
            return left

        sealer = Sealer(
            self.bucket,
            "incoming/",
            "sealed/",
            self.household.keys,
            self.records.is_proved,
            self._forget,
            self.directory,
            lambda: self.keeps_versions,
        )
        return SealingRun(
            self.bucket,
            sealer,
            self.records,
            timedelta(days=AFTER),
            lambda: now,
            remaining,
            lambda *line: self.said.append(line),
            workers,
            earlier=None if self.forgotten is None else self._earlier(),
            large=self.large,
        ).run()

    def _forget(self, key: str) -> None:
        if self.forgotten is not None:
            self.forgotten.append(key)

    def _earlier(self) -> EarlierSeals:
        return EarlierSeals(self, "incoming/", "sealed/", self._forget)

    def has(self, key: str) -> bool:
        return self.bucket.has_object(key)

    def sealed(self, prefix: str = "sealed/", after: str = "") -> Iterator[str]:
        """List what is sealed."""
        yield from (key for key in sorted(self.bucket.below(prefix)) if key > after)

    def tagged(self) -> set[str]:
        """Return the ids of what may expire."""
        return {
            key.removeprefix("incoming/")
            for key, versions in self.bucket.below("incoming/").items()
            if any(version.tags for version in versions)
        }


@pytest.fixture
def scene(household: Household, tmp_path: Path) -> Scene:
    return Scene(household, tmp_path)


def test_only_what_is_old_enough(scene: Scene) -> None:
    for days in (0.1, 13.9, 14.1, 400):
        scene.store(f"of-{days}", days)
    state = scene.run()
    assert scene.tagged() == {"of-14.1", "of-400"}
    assert (state.sealed, state.backlog, state.refused) == (2, 0, "")
    assert scene.records.kept == state
    assert scene.run().sealed == 0
    assert scene.records.total == 2


def test_only_what_is_settled_at_home(scene: Scene) -> None:
    for days in (20, 40, 60):
        scene.store(f"of-{days}", days)
    scene.records.settle(NOW - 50 * DAY, NOW)
    scene.run()
    assert scene.tagged() == {"of-60"}
    scene.records.settle(NOW - 40 * DAY, NOW)
    scene.run()
    assert scene.tagged() == {"of-60"}, "before the watermark, not at it"


@pytest.mark.parametrize(
    ("watermark", "refused"),
    [
        (None, Refusal.NO_WATERMARK),
        (SettledMail(NOW - DAY, NOW - 3 * DAY - timedelta(seconds=1)), Refusal.STALE_WATERMARK),
        (SettledMail(NOW - DAY, NOW + timedelta(hours=2)), Refusal.STALE_WATERMARK),
        (SettledMail(NOW, NOW - timedelta(seconds=1)), Refusal.STALE_WATERMARK),
        (SettledMail(NOW - 4 * DAY, NOW - 3 * DAY), None),
        (SettledMail(NOW - DAY, NOW + timedelta(minutes=5)), None),
        (SettledMail(NOW - DAY, NOW, "mail/another/"), Refusal.OTHER_MAIL),
    ],
)
def test_a_box_that_is_silent_or_whose_clock_is_wrong_stops_it(
    scene: Scene, watermark: SettledMail | None, refused: Refusal | None
) -> None:
    scene.store("old", 100)
    scene.records.said = watermark
    if watermark and watermark.settled_before > watermark.written_at:
        assert refused
    state = scene.run()
    assert state.refused == (refused or "")
    assert scene.tagged() == (set() if refused else {"old"})
    assert not refused or not scene.bucket.below("sealed/")


def test_keys_that_were_never_proved_seal_nothing(scene: Scene) -> None:
    scene.store("old", 100)
    scene.records.proved.clear()
    scene.records.prove(scene.household.keys[:1])
    assert scene.run().refused == "unproved"
    assert not scene.bucket.below("sealed/")
    assert scene.said[-1][0] == "warning"


def test_noncurrent_versions_and_those_below_a_delete_marker_too(scene: Scene) -> None:
    scene.store("twice", 100)
    scene.store("twice", 50, b"other content")
    scene.store("gone", 30)
    scene.bucket.delete("incoming/gone")
    scene.store("young", 20)
    scene.store("young", 1, b"new content")
    state = scene.run()
    assert state.sealed == 4
    assert [bool(v.tags) for v in scene.bucket.below("incoming/")["incoming/young"]] == [
        True,
        False,
    ]


def test_the_time_ends_and_the_next_run_goes_on(scene: Scene) -> None:
    names = [f"{number:03}" for number in range(60)]
    for name in names:
        scene.store(name, 100)
    scene.seconds, scene.each = RESERVE + 20.5, 1.0
    states = []
    for _ in range(3):
        states.append(scene.run(workers=1))
        for name in scene.tagged():
            scene.bucket.delete(f"incoming/{name}")  # as the lifecycle does, the next day
    assert [state.sealed for state in states] == [20, 20, 20]
    assert [state.backlog for state in states] == [40, 20, 0]
    assert scene.tagged() == set(names)


def test_all_versions_of_a_key_have_their_turn_together(scene: Scene) -> None:
    for body in (b"1", b"2", b"3"):
        scene.store("a", 100, body)
    scene.store("b", 100)
    scene.seconds, scene.each = RESERVE + 1.5, 1.0
    assert scene.run(workers=1).sealed == 3, "the next run begins behind the key"


def test_while_a_large_mail_is_sealed_no_other_large_one_is(scene: Scene) -> None:
    scene.store("large", 100, b"x" * LARGE)
    scene.store("small", 100)
    alone: dict[str, bool] = {}
    read = scene.bucket.read

    def reading(version, path):  # type: ignore[no-untyped-def]
        alone[version.key] = scene.large.locked()
        return read(version, path)

    scene.bucket.read = reading  # type: ignore[method-assign]
    scene.run(workers=1)
    assert alone == {"incoming/large": True, "incoming/small": False}


def test_an_archive_too_large_to_count_leaves_time_to_say_so(scene: Scene) -> None:
    for number in range(200):
        scene.store(f"{number:03}", 100)
    scene.seconds, scene.each = RESERVE + 5.5, 1.0
    state = scene.run(workers=1)
    assert state.sealed == 5
    assert 0 < state.backlog <= RESERVE - LAST_WORDS, "no more was counted"
    assert scene.records.kept == state
    assert scene.run(workers=1).sealed == 5, "it goes on all the same"


def test_what_is_done_already_does_not_keep_the_new_from_its_turn(scene: Scene) -> None:
    for number in range(30):
        scene.store(f"{number:03}", 100)
    scene.run()
    scene.store("029z", 15)
    scene.seconds, scene.each = RESERVE + 10.5, 1.0
    for _ in range(4):
        scene.run(workers=1)
    assert "029z" in scene.tagged()


def test_one_that_fails_holds_back_no_other(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.store(name, 100)

    read = scene.bucket.read

    def failing(version, path):  # type: ignore[no-untyped-def]
        if version.key == "incoming/b":
            raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
        return read(version, path)

    scene.bucket.read = failing  # type: ignore[method-assign]
    state = scene.run()
    assert scene.tagged() == {"a", "c"}
    assert (state.sealed, state.failed, state.backlog, state.reason) == (2, 1, 1, "SlowDown")
    scene.bucket.read = read  # type: ignore[method-assign]
    assert scene.run().backlog == 0
    assert scene.tagged() == {"a", "b", "c"}


def test_where_everything_fails_it_gives_up(scene: Scene) -> None:
    for number in range(ENOUGH_FAILURES + 40):
        scene.store(f"{number:03}", 100)
    asked: list[str] = []

    def failing(name: str) -> None:
        if name == "read":
            asked.append(name)
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")

    scene.bucket.before = failing
    state = scene.run(workers=1)
    assert len(asked) <= ENOUGH_FAILURES + 2
    assert state.backlog == ENOUGH_FAILURES + 40
    assert state.reason == "AccessDenied"


def test_tagged_without_a_twin_is_an_error_old_or_young(scene: Scene) -> None:
    for name, days in (("old", 100), ("young", 1), ("well", 1)):
        scene.store(name, days)
        if name != "well":
            scene.bucket.keys[f"incoming/{name}"][0].tags = {"postamt-seal": "sealed"}
    state = scene.run()
    assert state.without_twin == 2
    assert [line[0] for line in scene.said if "twin" in line[1]] == ["error", "error"]
    assert scene.run().without_twin == 1, "the old one is sealed, the young one may still expire"


def test_what_cannot_be_sealed_is_told_and_is_no_backlog(scene: Scene) -> None:
    scene.store("x" * 1_000, 100)
    scene.store("tagged", 100)
    scene.bucket.keys["incoming/tagged"][0].tags = {"mine": "1"}
    state = scene.run()
    assert (state.sealed, state.skipped, state.backlog) == (0, 2, 0)
    assert state.reason in {Outcome.NO_NAME, Outcome.OTHER_TAGS}


def test_the_place_itself_is_no_mail(scene: Scene) -> None:
    scene.bucket.now = NOW - 100 * DAY
    scene.bucket.store("incoming/", b"")
    state = scene.run()
    assert (state.sealed, state.skipped) == (0, 0)


def test_where_the_bucket_keeps_no_versions_nothing_is_sealed(scene: Scene) -> None:
    scene.store("old", 100)
    scene.keeps_versions = False
    assert scene.run().refused == Refusal.UNVERSIONED
    assert not scene.bucket.below("sealed/")
    scene.keeps_versions = True
    assert scene.run().sealed == 1


REFUSED = {
    "unproved": lambda scene: scene.records.proved.clear(),
    "stale-watermark": lambda scene: scene.records.settle(NOW - 9 * DAY, NOW - 9 * DAY),
    "no-watermark": lambda scene: setattr(scene.records, "said", None),
    "unversioned": lambda scene: setattr(scene, "keeps_versions", False),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_what_may_expire_without_a_twin_is_told_though_nothing_is_sealed(
    scene: Scene, refused: str
) -> None:
    scene.store("old", 100)
    scene.run()
    scene.store("copy", 1)
    scene.bucket.keys["incoming/copy"][0].tags = {"postamt-seal": "sealed"}
    assert scene.records.kept is not None
    scene.records.kept = replace(
        scene.records.kept, sealed_total=1, cursor="incoming/m", failed_key="incoming/b"
    )
    REFUSED[refused](scene)
    state = scene.run()
    assert (state.refused, state.without_twin) == (refused, 1)
    assert state.twinless_key == "incoming/copy"
    assert (state.cursor, state.failed_key) == ("incoming/m", "incoming/b"), "as it was"
    assert len(list(scene.sealed())) == 1


def test_where_nothing_was_ever_sealed_nothing_is_looked_at(scene: Scene) -> None:
    scene.store("old", 100)
    scene.records.said = None
    asked: list[str] = []
    scene.bucket.before = asked.append
    scene.run()
    assert asked == []


def fail_for(scene: Scene, *keys: str) -> None:
    def tags(version: PlainVersion) -> dict[str, str]:
        if version.key in keys:
            raise ClientError({"Error": {"Code": f"Odd{version.key[-1]}"}}, "GetObjectTagging")
        return VersionedBucket.tags(scene.bucket, version)

    scene.bucket.tags = tags  # type: ignore[method-assign]


def test_the_mail_that_fails_for_the_longest_is_named_with_its_cause(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.store(name, 100)
    fail_for(scene, "incoming/b")
    first = scene.run()
    assert (first.failed_key, first.reason) == ("incoming/b", "Oddb")
    assert first.failing_since == "2026-11-28T03:00:00Z"
    fail_for(scene, "incoming/a", "incoming/b", "incoming/c")
    later = scene.run(NOW + DAY)
    assert (later.failed, later.failed_key, later.reason) == (3, "incoming/b", "Oddb")
    assert later.failing_since == first.failing_since
    fail_for(scene, "incoming/c")
    other = scene.run(NOW + 2 * DAY)
    assert (other.failed_key, other.failing_since) == ("incoming/c", "2026-11-30T03:00:00Z")
    fail_for(scene)
    well = scene.run(NOW + 3 * DAY)
    assert (well.failed, well.failed_key, well.failing_since, well.reason) == (0, "", "", "")


def test_a_mail_that_had_no_turn_may_fail_still(scene: Scene) -> None:
    for name in ("a", "b", "c", "d"):
        scene.store(name, 100)
    fail_for(scene, "incoming/d")
    scene.run()
    scene.store("0", 100)
    scene.seconds, scene.each = RESERVE + 1.5, 1.0
    state = scene.run(NOW + DAY, workers=1)
    assert state.cursor
    assert (state.failed, state.failed_key, state.reason) == (0, "incoming/d", "Oddd")
    assert state.failing_since == "2026-11-28T03:00:00Z"


def test_what_cannot_be_sealed_is_named_with_its_cause(scene: Scene) -> None:
    scene.store("tagged", 100)
    scene.bucket.keys["incoming/tagged"][0].tags = {"mine": "1"}
    state = scene.run()
    assert (state.skipped_key, state.skipped_reason) == ("incoming/tagged", Outcome.OTHER_TAGS)
    assert (state.failed, state.failed_key) == (0, "")


def test_what_was_sealed_before_the_index_was_to_forget_is_caught_up_with(scene: Scene) -> None:
    for name in ("gone", "plain again", "old"):
        scene.store(name, 100)
    scene.run()
    scene.bucket.delete("incoming/gone")
    scene.store("plain again", 1, b"a second content")
    scene.forgotten = []
    state = scene.run()
    assert scene.forgotten == ["incoming/gone"]
    assert state.forgotten == ALL
    scene.store("plain again", 20, b"a second content")
    scene.run()
    assert scene.forgotten == ["incoming/gone", "incoming/plain again"], "in its own turn"
    scene.forgotten = None
    assert scene.run().forgotten == "", "who keeps again has to be told again"


def test_first_all_else_is_done_and_then_the_index_is_told(scene: Scene) -> None:
    for number in range(9):
        scene.store(f"{number}", 100)
    scene.run()
    for number in range(9):
        scene.bucket.delete(f"incoming/{number}")
    scene.forgotten = []
    scene.seconds, scene.each = RESERVE + 12.5, 1.0
    reached = [scene.run(workers=1).forgotten for _ in range(4)]
    assert len(scene.forgotten) == 9, "none twice"
    assert reached[0] != ALL
    assert reached[-1] == ALL


def test_what_the_index_does_not_take_is_told_and_tried_again(scene: Scene) -> None:
    scene.store("a", 100)
    scene.run()
    scene.bucket.delete("incoming/a")
    scene.forgotten = []

    def fail(key: str) -> None:
        raise OSError("The index function did not take it.")

    scene._forget = fail  # type: ignore[method-assign]  # noqa: SLF001
    state = scene.run()
    assert (state.failed, state.forgotten) == (1, "")
    assert "index" in state.reason
    assert state.failed_key == "sealed/"
    del scene._forget  # noqa: SLF001
    state = scene.run()
    assert (state.failed, state.forgotten, scene.forgotten) == (0, ALL, ["incoming/a"])


def test_while_not_all_had_their_turn_the_index_is_told_of_nothing_before(scene: Scene) -> None:
    """What is sealed, and there still, has to be told of in its own turn."""
    scene.store("a", 100)
    scene.run()
    scene.bucket.delete("incoming/a")
    for number in range(ENOUGH_FAILURES + 20):
        scene.store(f"{number:03}", 100)
    fail_for(scene, *(f"incoming/{number:03}" for number in range(ENOUGH_FAILURES + 20)))
    scene.forgotten = []
    state = scene.run(workers=1)
    assert (state.forgotten, scene.forgotten) == ("", [])
    assert state.cursor
