"""A year of a household whose box is down for a month in it, day by day."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postamt_sync.bootstrap.resources.lifecycle import lifecycle_rules
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.mail.sealed_name import SealedName, parse
from postamt_sync.seal.one_seal import Sealer
from postamt_sync.seal.sealing import SealingRun
from tests.doubles.account import ACCOUNT, stack
from tests.doubles.moto import REGION
from tests.doubles.versioned_bucket import VersionedBucket
from tests.seal.conftest import Household, MemoryRecords

BEGIN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DOWN = range(120, 150)


class KilledError(BaseException):
    """The function is gone."""


@dataclass
class Year:
    household: Household
    directory: Path
    after: int = 14
    undo: int = 14
    chance: random.Random = field(default_factory=lambda: random.Random(15))
    records: MemoryRecords = field(default_factory=MemoryRecords)
    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """All that ever came, by key and version."""
    seen: set[tuple[str, str]] = field(default_factory=set)
    """What the box has brought home."""

    def __post_init__(self) -> None:
        self.bucket = VersionedBucket(BEGIN)
        self.records.prove(self.household.keys)
        self.seal = SealStack("postamt", ACCOUNT, REGION, "mail", after=self.after, undo=self.undo)
        self.rules = lifecycle_rules(replace(stack(), seal=self.seal))

    def days(self, count: int) -> Iterator[int]:
        for day in range(count):
            self.mail_comes(day)
            if day not in DOWN:
                self.box_looks()
            self.function_runs()
            self.bucket.pass_time(self.bucket.now + DAY, self.rules)
            yield day

    def mail_comes(self, day: int) -> None:
        for number in range(self.chance.randrange(4)):
            key = f"{day:03}-{number}"
            self._store(key)
            if self.chance.random() < 0.1:
                self._store(key)
        if day % 20 == 0 and day:
            for old in (f"{day - 5:03}-0", f"{max(0, day - 40):03}-0"):
                if f"incoming/{old}" in self.bucket.keys:
                    self._store(old)  # a second content under one key
        if day % 30 == 7 and self.bucket.has_object(f"incoming/{day - 3:03}-0"):
            self.bucket.delete(f"incoming/{day - 3:03}-0")

    def _store(self, name: str) -> None:
        body = self.chance.randbytes(self.chance.randrange(300))
        stored = self.bucket.store(f"incoming/{name}", body)
        self.bucket.store(f"recent/{name}", body)
        self.bodies[f"incoming/{name}", stored.id] = body

    def box_looks(self) -> None:
        """Bring home what is there, and say that all of before this is settled."""
        for key, versions in self.bucket.below("incoming/").items():
            self.seen |= {(key, version.id) for version in versions}
        self.records.settle(self.bucket.now, self.bucket.now)

    def function_runs(self) -> None:
        kill_at = self.chance.choice([0, 0, 0, 1, 3, 6])
        calls = 0

        def maybe(name: str) -> None:
            nonlocal calls
            calls += name != "versions"
            if kill_at and calls == kill_at:
                raise KilledError

        moment = self.chance.choice(["before", "after"])
        setattr(self.bucket, moment, maybe)
        with contextlib.suppress(KilledError):
            self._run()
        setattr(self.bucket, moment, lambda _: None)
        if kill_at:
            self._run()  # Lambda tries again

    def _run(self) -> None:
        sealer = Sealer(
            *(self.bucket, "incoming/", "sealed/", self.household.keys),
            self.records.is_proved,
            lambda _: None,
            self.directory,
        )
        now = self.bucket.now
        SealingRun(
            *(self.bucket, sealer, self.records, timedelta(days=self.after)),
            lambda: now,
            lambda: 900.0,
            lambda *_: None,
            workers=1,
        ).run()

    def plain(self) -> Iterator[tuple[str, str, timedelta]]:
        """Yield every plain version that is there, with its age."""
        for prefix in ("incoming/", "recent/"):
            for key, versions in self.bucket.below(prefix).items():
                for version in versions:
                    yield key, version.id, self.bucket.now - version.modified

    def sealed(self) -> set[SealedName]:
        names = {parse(key, "sealed/") for key in self.bucket.keys if key.startswith("sealed/")}
        assert None not in names
        return {name for name in names if name is not None}


@pytest.mark.slow
@pytest.mark.parametrize(("after", "undo"), [(14, 14), (1, 1)])
def test_no_mail_stays_plain_longer_than_promised_in_a_year(
    household: Household, tmp_path: Path, after: int, undo: int
) -> None:
    year = Year(household, tmp_path, after, undo)
    promised = timedelta(days=year.seal.longest_plain)
    assert promised.days == max(after, 14) + undo + 3
    for day in year.days(365):
        for key, version, age in year.plain():
            since_back = day - DOWN.stop
            waits = DOWN.start <= day and since_back <= undo + 3
            assert age <= promised or waits, (day, key, version)
        tagged = {
            (key, version.id)
            for key, versions in year.bucket.below("incoming/").items()
            for version in versions
            if version.tags
        }
        assert tagged <= year.seen, "the box never saw it, and it is to expire"
    there = {(key, version) for key, version, _ in year.plain() if key.startswith("incoming/")}
    gone = year.bodies.keys() - there
    assert len(gone) > 200
    assert gone <= year.seen
    names = year.sealed()
    assert len(names) == len(year.bucket.below("sealed/"))
    opened: dict[str, set[bytes]] = {}
    for key, (version,) in year.bucket.below("sealed/").items():
        name = parse(key, "sealed/")
        assert name is not None
        assert version.body is not None
        body = household.opened(version.body, len(opened) % 2)
        assert name.size == len(body)
        opened.setdefault(f"incoming/{name.id}", set()).add(body)
    for key, version_id in gone:
        assert year.bodies[key, version_id] in opened[key], "a content of its own, each"
    markers = [
        key
        for key, versions in year.bucket.keys.items()
        if len(versions) == 1 and versions[0].body is None
    ]
    assert markers == [], "nothing is left of what has gone"


@pytest.mark.slow
def test_while_the_box_is_down_nothing_is_sealed(household: Household, tmp_path: Path) -> None:
    year = Year(household, tmp_path)
    sealed = {}
    for day in year.days(DOWN.stop + 2):
        sealed[day] = len(year.sealed())
        if day in DOWN and day > DOWN.start + 3:
            assert sealed[day] == sealed[DOWN.start + 3]
            assert year.records.kept is not None
            assert year.records.kept.refused == "stale-watermark"
    assert sealed[DOWN.stop] > sealed[DOWN.stop - 1], "it goes on when the box is back"


def test_switched_off_what_was_tagged_still_ends(household: Household, tmp_path: Path) -> None:
    year = Year(household, tmp_path)
    for _ in year.days(16):
        pass
    tagged = [key for key, versions in year.bucket.below("incoming/").items() if versions[0].tags]
    assert tagged
    year.bucket.pass_time(year.bucket.now + 20 * DAY, year.rules)  # nobody runs any more
    assert not set(tagged) & year.bucket.below("incoming/").keys()
