"""A run over the plain mail: what is old enough and settled at home is sealed, in the time it has.

A run begins behind where the last one ran out of time, and goes round, so that each version has its
turn, however many wait. Nothing is sealed without keys that live and were proved, or while the box
at home says nothing.
"""

from __future__ import annotations

import enum
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.seal.one_seal import CANNOT, Outcome, Sealed, Sealer
from postamt_sync.seal.owner_keys import KeyRefusedError, encryption_fingerprints
from postamt_sync.seal.records import SealState, SettledMail
from postamt_sync.seal.sealer_bucket import PlainVersion

STALE = timedelta(days=3)
"""How old the box's last word may be."""
_CLOCKS_DIFFER = timedelta(hours=1)

LARGE = 4 << 20
"""Bytes of a mail that is sealed while no other large one is: memory is short."""

RESERVE = 90.0
"""Seconds of a run in which nothing is begun: the last mails end, and the rest is counted."""

LAST_WORDS = 20.0
"""Seconds of a run in which nothing is counted either: what it has done is to be written."""

ENOUGH_FAILURES = 30
"""Failures in a row, after which something is wrong with more than a mail."""

Say = Callable[[str, str, Mapping[str, object]], None]
"""Level, event and fields of one line of the log; never an address or anything of the content."""


class Refusal(enum.StrEnum):
    """Why a run seals nothing; a word in the table, frozen."""

    NO_WATERMARK = "no-watermark"
    STALE_WATERMARK = "stale-watermark"
    OTHER_MAIL = "other-mail"
    KEY = "key"
    UNPROVED = "unproved"


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
    """Judge what the box said last of the mail in a place; a clock that runs ahead of ours by hours
    is not believed."""
    if watermark is None:
        return Refusal.NO_WATERMARK
    if watermark.place != place:
        return Refusal.OTHER_MAIL
    said = watermark.written_at
    if now - said > STALE or said - now > _CLOCKS_DIFFER or watermark.settled_before > said:
        return Refusal.STALE_WATERMARK
    return None


@dataclass
class _Counts:
    sealed: int = 0
    failed: int = 0
    in_a_row: int = 0
    skipped: int = 0
    without_twin: int = 0
    unvisited: int = 0
    reason: str = ""
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class SealingRun:
    """`after` is how old a version has to be; `remaining` tells the seconds that are left. `place`
    is where the mail lies, as the box has to name it (`mail_place`)."""

    listing: Listing
    sealer: Sealer
    records: Records
    after: timedelta
    now: Callable[[], datetime]
    remaining: Callable[[], float]
    say: Say
    workers: int = 4
    place: str = ""
    large: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> SealState:
        """Seal what may be sealed, and keep how it went; returns the same."""
        now = self.now()
        watermark = self.records.watermark()
        refused = refusal(watermark, now, self.place)
        if refused is None and not self.records.is_proved(
            encryption_fingerprints(self.sealer.keys)
        ):
            refused = Refusal.UNPROVED
        if refused is not None or watermark is None:
            return self._end(SealState(now, refused=str(refused)))
        before = min(now - self.after, watermark.settled_before)
        former = self.records.state()
        counts = _Counts()
        self._go_round(before, former.cursor if former else "", counts)
        return self._end(
            SealState(
                now,
                sealed=counts.sealed,
                backlog=counts.unvisited + counts.failed,
                skipped=counts.skipped,
                failed=counts.failed,
                without_twin=counts.without_twin,
                reason=counts.reason,
                cursor=counts.cursor,
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

    def _go_round(self, before: datetime, cursor: str, counts: _Counts) -> None:
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
                    # What is sealed already is current no more, a day or two after.
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
        """Yield all versions, those behind the cursor first; what has no id is no mail."""
        prefix = self.sealer.prefix
        behind = self.listing.versions(prefix, cursor)
        front = itertools.takewhile(
            lambda version: version.key <= cursor, self.listing.versions(prefix)
        )
        for version in itertools.chain(behind, front if cursor else ()):
            if version.key != prefix:
                yield version

    def _must_stop(self, counts: _Counts) -> bool:
        return self.remaining() < RESERVE or counts.in_a_row >= ENOUGH_FAILURES

    def _sealed(self, version: PlainVersion) -> Sealed:
        if version.size < LARGE:
            return self.sealer.seal(version)
        with self.large:
            return self.sealer.seal(version)

    def _count(self, version: PlainVersion, future: Future[Sealed | bool], counts: _Counts) -> None:
        known = {"key": version.key[:300], "version": version.version}
        try:
            result = future.result()
        except (ClientError, BotoCoreError, KeyRefusedError, OSError, RuntimeError) as error:
            counts.failed += 1
            counts.in_a_row += 1
            counts.reason = _reason(error)
            self.say("error", "not sealed", {**known, "reason": counts.reason})
            return
        counts.in_a_row = 0
        without_twin = result if isinstance(result, bool) else result.without_twin
        if without_twin:
            counts.without_twin += 1
            self.say("error", "tagged without its sealed twin", known)
        if isinstance(result, bool) or result.outcome is Outcome.ALREADY:
            return
        if result.outcome is Outcome.SEALED:
            counts.sealed += 1
            return
        counts.skipped += result.outcome in CANNOT
        counts.failed += result.outcome not in CANNOT
        counts.reason = result.outcome
        self.say("warning", "not sealed", {**known, "reason": result.outcome})


def refused_run(
    records: Records, now: datetime, refused: Refusal, reason: str, say: Say
) -> SealState:
    """Keep that a run could not even begin."""
    state = SealState(now, refused=str(refused), reason=reason)
    records.write_state(state)
    say("error", "nothing is sealed", {"refused": str(refused), "reason": reason})
    return state


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))[:100]
    return error.problem if isinstance(error, KeyRefusedError) else type(error).__name__
