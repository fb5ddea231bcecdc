"""A run over the plain mail: sealing what is old enough and settled at home, as time allows.

A run begins where the last one ran out of time and goes round, so that each version has its turn,
however many wait. Nothing is sealed without keys that are valid and were proved, while the box at
home is silent, or if the bucket keeps no versions. What may expire is checked nevertheless.
"""

from __future__ import annotations

import enum
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.seal.earlier_seals import ALL, EarlierSeals
from postamt_sync.seal.one_seal import CANNOT, Outcome, Sealed, Sealer
from postamt_sync.seal.owner_keys import KeyRefusedError, encryption_fingerprints
from postamt_sync.seal.records import SealState, SettledMail
from postamt_sync.seal.run_counts import RunCounts
from postamt_sync.seal.sealer_bucket import PlainVersion

STALE = timedelta(days=3)
"""How old the last message from the box may be."""
_CLOCKS_DIFFER = timedelta(hours=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
"""Before all mail, so that none is due."""

LARGE = 4 << 20
"""Bytes from which on mails are sealed one at a time: memory is short."""

RESERVE = 90.0
"""Seconds at the end of a run in which no mail is begun: the rest is only counted."""

LAST_WORDS = 20.0
"""Seconds at the end of a run in which nothing is counted either: the state is written."""

ENOUGH_FAILURES = 30
"""So many failures in a row mean that something is wrong with more than single mails."""

Say = Callable[[str, str, Mapping[str, object]], None]
"""Takes level, event and fields of a log line: never an address or any content of a mail."""


class Refusal(enum.StrEnum):
    """Why a run seals nothing. The values are in the table, and frozen."""

    NO_WATERMARK = "no-watermark"
    STALE_WATERMARK = "stale-watermark"
    OTHER_MAIL = "other-mail"
    KEY = "key"
    UNPROVED = "unproved"
    UNVERSIONED = "unversioned"


class Records(Protocol):
    """The part of `SealRecords` that is used here."""

    def watermark(self) -> SettledMail | None: ...
    def is_proved(self, fingerprints: Sequence[str], /) -> bool: ...
    def state(self) -> SealState | None: ...
    def write_state(self, state: SealState, /) -> None: ...


class Listing(Protocol):
    """The part of `SealerBucket` that is used here."""

    def versions(self, prefix: str, after: str = "", /) -> Iterator[PlainVersion]: ...


def refusal(watermark: SettledMail | None, now: datetime, place: str) -> Refusal | None:
    """Return why nothing may be sealed, by what the box said last of the mail in this place.

    It is not believed if its clock is ahead of ours by hours.
    """
    if watermark is None:
        return Refusal.NO_WATERMARK
    if watermark.place != place:
        return Refusal.OTHER_MAIL
    said = watermark.written_at
    if now - said > STALE or said - now > _CLOCKS_DIFFER or watermark.settled_before > said:
        return Refusal.STALE_WATERMARK
    return None


@dataclass(frozen=True, slots=True)
class SealingRun:
    """One run. `after` is how old a version has to be, `remaining` returns the seconds left.

    `place` is where the mail is, as the box has to name it (`mail_place`). `earlier` is what the
    index is still to be told of, None if it keeps its words.
    """

    listing: Listing
    sealer: Sealer
    records: Records
    after: timedelta
    now: Callable[[], datetime]
    remaining: Callable[[], float]
    say: Say
    workers: int = 4
    place: str = ""
    earlier: EarlierSeals | None = None
    large: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> SealState:
        """Seal what may be sealed; store how that went, and return it."""
        now = self.now()
        watermark = self.records.watermark()
        refused = refusal(watermark, now, self.place)
        if refused is None and not self.records.is_proved(
            encryption_fingerprints(self.sealer.keys)
        ):
            refused = Refusal.UNPROVED
        if refused is None and not self.sealer.keeps_versions():
            refused = Refusal.UNVERSIONED
        if refused is not None or watermark is None:
            return self.refuse(refused or Refusal.NO_WATERMARK)
        former = self.records.state() or SealState(now)
        counts = RunCounts(former.failed_key)
        before = min(now - self.after, watermark.settled_before)
        self._go_round(before, former.cursor, counts)
        self._tell_index(former.forgotten, counts)
        return self._end(counts.state(now, former))

    def refuse(self, refused: Refusal, reason: str = "") -> SealState:
        """Seal nothing; store why, and return that.

        What was tagged before goes on expiring, so it is checked that all of it is sealed.
        """
        former = self.records.state() or SealState(self.now())
        counts = RunCounts()
        if former.sealed_total:  # else nothing was ever tagged by us
            self._go_round(_NEVER, "", counts)
        self.say("error", "nothing is sealed", {"refused": str(refused), "reason": reason})
        return self._end(
            replace(
                former,
                ran_at=self.now(),
                sealed=0,
                backlog=0,
                skipped=0,
                failed=0,
                without_twin=counts.without_twin,
                twinless_key=counts.twinless_key,
                refused=str(refused),
                reason=reason,
            )
        )

    def _end(self, state: SealState) -> SealState:
        self.records.write_state(state)
        level = "error" if state.without_twin else "warning" if state.refused else "info"
        self.say(
            level,
            "run ended",
            {"sealed": state.sealed, "backlog": state.backlog, "refused": state.refused},
        )
        return state

    def _tell_index(self, upto: str, counts: RunCounts) -> None:
        """Have the index forget what was sealed earlier, once everything else is done."""
        if self.earlier is None:
            return
        counts.forgotten = upto
        if upto == ALL or counts.cursor:
            return
        try:
            for counts.forgotten in self.earlier.told(upto):
                if self.remaining() < RESERVE:
                    return
        except (ClientError, BotoCoreError, OSError) as error:
            reason = f"the index does not forget what was sealed before ({_reason(error)})"
            counts.fail(counts.forgotten or self.earlier.sealed_prefix, reason)
            self.say("error", "not forgotten", {"after": counts.forgotten[:300], "reason": reason})

    def _go_round(self, before: datetime, cursor: str, counts: RunCounts) -> None:
        last = cursor
        stopped = False
        under_way: deque[tuple[PlainVersion, Future[Sealed | bool]]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for version in self._round(cursor):
                due = version.last_modified < before
                another_key = version.key != last
                stopped = stopped or (another_key and self._must_stop(counts))
                if stopped:
                    if self.remaining() < LAST_WORDS:
                        break
                    # A day or two after it was sealed, a version is not current any more.
                    counts.unvisited += due and version.current
                    continue
                last = version.key
                task = self._sealed if due else self.sealer.lacks_twin
                under_way.append((version, pool.submit(task, version)))
                while len(under_way) >= 2 * self.workers:
                    self._count(*under_way.popleft(), counts)
            while under_way:
                self._count(*under_way.popleft(), counts)
        counts.cursor = last if stopped else ""

    def _round(self, cursor: str) -> Iterator[PlainVersion]:
        """Yield all versions, those after the cursor first. What has no id is not a mail."""
        prefix = self.sealer.prefix
        behind = self.listing.versions(prefix, cursor)
        front = itertools.takewhile(
            lambda version: version.key <= cursor, self.listing.versions(prefix)
        )
        for version in itertools.chain(behind, front if cursor else ()):
            if version.key != prefix:
                yield version

    def _must_stop(self, counts: RunCounts) -> bool:
        return self.remaining() < RESERVE or counts.in_a_row >= ENOUGH_FAILURES

    def _sealed(self, version: PlainVersion) -> Sealed:
        if version.size < LARGE:
            return self.sealer.seal(version)
        with self.large:
            return self.sealer.seal(version)

    def _count(
        self, version: PlainVersion, future: Future[Sealed | bool], counts: RunCounts
    ) -> None:
        known = {"key": version.key[:300], "version": version.version}
        counts.had_its_turn |= version.key == counts.failing
        try:
            result = future.result()
        except (ClientError, BotoCoreError, KeyRefusedError, OSError, RuntimeError) as error:
            counts.in_a_row += 1
            counts.fail(version.key, _reason(error))
            self.say("error", "not sealed", {**known, "reason": _reason(error)})
            return
        counts.in_a_row = 0
        without_twin = result if isinstance(result, bool) else result.without_twin
        if without_twin:
            counts.without_twin += 1
            counts.twinless_key = version.key
            self.say("error", "tagged without its sealed twin", known)
        if isinstance(result, bool) or result.outcome is Outcome.ALREADY:
            return
        if result.outcome is Outcome.SEALED:
            counts.sealed += 1
            return
        note = counts.skip if result.outcome in CANNOT else counts.fail
        note(version.key, str(result.outcome))
        self.say("warning", "not sealed", {**known, "reason": str(result.outcome)})


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))[:100]
    return error.problem if isinstance(error, KeyRefusedError) else type(error).__name__
