"""Telling the sealing function how far this box has come: all mail of before a moment is settled.

What is younger, the function leaves alone. Only a full listing shows that nothing is unknown, so
without one in this process nothing is told. The item is the one thing that a box writes in the
cloud. It goes back where older mail is open again: what is sealed away meanwhile could only be
brought back by its owner. What the function says of itself is read along and noted for `status`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from postamt_sync.awaiting import contained
from postamt_sync.aws.errors import aws_call
from postamt_sync.config import Settings
from postamt_sync.events import Events, printable
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.settled import Unsettled, UnsettledMail
from postamt_sync.ledger.source_notes import SourceNotes
from postamt_sync.mail.seal_table import mail_place, read_time
from postamt_sync.quantities import count
from postamt_sync.seal.records import LONGEST_REST, SealRecords, SealState
from postamt_sync.unexpected import as_trouble

MARGIN = 3_600.0
"""Seconds before the listing began for which it still says nothing: our clock may be off by as much
as AWS lets it, a quarter of an hour, and mail may be on its way through SES."""
LOOK_EVERY = 3_600.0
"""Seconds between two looks at what has been settled since, and at the function's own word."""
TOLD_EVERY = 43_200.0
"""Seconds after which the same is told again, for the function to know that we live."""
SOURCE = "seal"
"""Under which name `status` tells how sealing is doing."""
SWITCHED_OFF = "switched off; what is sealed stays so"

UnixClock = Callable[[], float]


_FOR_WANT_OF_US = {"no-watermark", "stale-watermark"}
_REFUSED = {
    "no-watermark": "this box has not yet said up to when its mail is settled.",
    "stale-watermark": "what this box said last is too old, or its clock is wrong.",
    "other-mail": "the function's bucket or prefix are not those of this box. Restart the "
    "daemon if the configuration was changed, else: postamt-sync bootstrap apply",
    "key": "a key of [seal] has ended or cannot be sealed for. See: postamt-sync seal check",
    "unproved": "nobody has shown that it can be opened. Do so: postamt-sync seal prove",
    "unversioned": "the bucket keeps no versions, so that nothing could be brought back. Switch "
    "them on: postamt-sync bootstrap apply",
}
"""What the function's words mean to a person (`seal/sealing.py`, Refusal)."""


class WatermarkWriter:
    """Keeps one stack's watermark. `clock` in seconds since 1970."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        records: SealRecords,
        events: Events,
        clock: UnixClock = time.time,
    ) -> None:
        self._bucket, self._prefix = settings.bucket.name, settings.bucket.prefix
        self._table = settings.seal_table
        self._ledger = ledger
        self._settled = UnsettledMail(ledger.store)
        self._records = records
        self._notes = SourceNotes(ledger.overview, events, SOURCE)
        self._clock = clock
        self._complete_before: float | None = None
        self._told: tuple[int, float] | None = None
        self._asked = asyncio.Event()

    def reconciled(self, began_at: float) -> None:
        """Everything was listed, from this moment on (seconds since 1970)."""
        self._complete_before = began_at - MARGIN
        self._asked.set()

    async def run(self) -> None:
        """Tell it after each full listing, and as what was new there is settled."""
        while True:
            self._asked.clear()
            await self.look()
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Tell how far we are, and note how sealing does; what fails is noted, and tried again."""
        try:
            said = await contained(asyncio.to_thread(self._look))
        except Exception as error:  # noqa: BLE001  whatever AWS or the ledger answers
            await self._notes.bad(as_trouble(error))
            return
        if said is None:
            return
        problem, detail = said
        await (self._notes.bad(problem) if problem else self._notes.well(detail))

    def _look(self) -> tuple[str, str] | None:
        """Return what is wrong and how it stands; None where nothing can be said yet."""
        if self._complete_before is None or self._ledger.rebuild.pending:
            return None
        oldest = self._settled.oldest_unsettled(self._bucket, self._prefix)
        moment = self._complete_before if oldest is None else oldest.came_at
        self._tell(int(min(moment, self._complete_before)))
        with aws_call("read how sealing does", name=self._table):
            state = self._records.state()
            mark = self._records.watermark()
        now = datetime.fromtimestamp(self._clock(), UTC)
        settled = f"settled before {mark.settled_before:%Y-%m-%d %H:%M} UTC" if mark else ""
        told = mark.written_at if mark else None
        return _problem(state, now, told), "; ".join(
            filter(None, (settled, _held(oldest), _run(state)))
        )

    def _tell(self, settled_before: int) -> None:
        now = self._clock()
        if self._told is not None:
            told, at = self._told
            if settled_before == told and 0 <= now - at < TOLD_EVERY:
                return
        with aws_call("tell how far we are", name=self._table):
            self._records.move_watermark(
                datetime.fromtimestamp(max(0, settled_before), UTC),
                datetime.fromtimestamp(now, UTC),
                mail_place(self._bucket, self._prefix),
            )
        self._told = settled_before, now


def note_switched_off(ledger: Ledger, events: Events) -> None:
    """Let `status` no longer complain of sealing that is not wanted any more. Blocking."""
    noted = next((s for s in ledger.overview.sources() if s.source == SOURCE), None)
    if noted is not None and noted.detail != SWITCHED_OFF:
        SourceNotes(ledger.overview, events, SOURCE).well_now(SWITCHED_OFF)


def _held(oldest: Unsettled | None) -> str:
    return f"held back by {printable(oldest.key, 80)} ({oldest.state})" if oldest else ""


def _run(state: SealState | None) -> str:
    if state is None:
        return "the function has not run yet"
    left = f", {state.backlog} to go" if state.backlog else ""
    skipped = f", {count(state.skipped, 'mail')} cannot be sealed" if state.skipped else ""
    if skipped and state.skipped_key:
        skipped += f" ({_named(state.skipped_key)}: {printable(state.skipped_reason, 300)})"
    failed = f", {_named(state.failed_key)} was not" if state.failed_key else ""
    ran = f"last run {state.ran_at:%Y-%m-%d %H:%M} UTC"
    return f"{state.sealed_total} sealed{left}{skipped}{failed}, {ran}"


def _named(key: str) -> str:
    """Return a key as one line can have it; it is whatever somebody put into the bucket."""
    return printable(key, 80)


def _problem(state: SealState | None, now: datetime, told: datetime | None) -> str:
    """Say what a person has to look at, "" if nothing. `told` is when we last said how far we are:
    what the function missed of it before then, its next run has."""
    if state is None:
        return ""
    if state.without_twin:
        return (
            f"{count(state.without_twin, 'mail')} will expire without a sealed copy"
            f"{f' ({_named(state.twinless_key)})' if state.twinless_key else ''}. "
            "Take the tag postamt-seal off them in the S3 console, and report it."
        )
    missed_us = state.refused in _FOR_WANT_OF_US and told is not None and told > state.ran_at
    if state.refused and not missed_us:
        why = _REFUSED.get(state.refused, f"{printable(state.refused, 300)}.")
        return f"Nothing is sealed, and mail stays plain: {why}"
    if failing := _failing(state):
        return failing
    if now - state.ran_at > LONGEST_REST:
        return (
            f"The sealing function has not run since {state.ran_at:%Y-%m-%d %H:%M} UTC; mail stays "
            "plain. To see why: postamt-sync bootstrap verify"
        )
    return ""


def _failing(state: SealState) -> str:
    """Say what fails, where nothing else goes well either or one mail does so day by day."""
    if state.failed and not state.sealed:
        named = f" ({_named(state.failed_key)})" if state.failed_key else ""
        return (
            f"{count(state.failed, 'mail')} could not be sealed: {printable(state.reason, 300)}"
            f"{named}. It is tried again each day. See: postamt-sync doctor"
        )
    since = read_time(state.failing_since)
    if since is None or state.ran_at - since < LONGEST_REST:
        return ""
    return (
        f"{_named(state.failed_key)} could not be sealed since {since:%Y-%m-%d}: "
        f"{printable(state.reason, 300)}. It stays plain, and is tried again each day."
    )
