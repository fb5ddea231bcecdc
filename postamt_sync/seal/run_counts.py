"""What a run over the plain mail counts, and what is stored of that for the next one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from postamt_sync.mail.seal_table import written_time
from postamt_sync.seal.records import SealState


@dataclass
class RunCounts:
    """The counts of a run. `failing` is the mail that failed in the previous run, `had_its_turn`
    whether it was tried again."""

    failing: str = ""
    had_its_turn: bool = False
    sealed: int = 0
    failed: int = 0
    in_a_row: int = 0
    skipped: int = 0
    without_twin: int = 0
    unvisited: int = 0
    failed_key: str = ""
    reason: str = ""
    skipped_key: str = ""
    skipped_reason: str = ""
    twinless_key: str = ""
    cursor: str = ""
    forgotten: str = ""

    def fail(self, key: str, reason: str) -> None:
        """Count a failure. The mail that is named is the one that failed before, else the first."""
        self.failed += 1
        if not self.failed_key or key == self.failing:
            self.failed_key, self.reason = key, reason

    def skip(self, key: str, reason: str) -> None:
        self.skipped += 1
        self.skipped_key, self.skipped_reason = key, reason

    def state(self, now: datetime, former: SealState) -> SealState:
        """Return what to store, after what the previous run stored."""
        state = SealState(
            now,
            sealed=self.sealed,
            backlog=self.unvisited + self.failed,
            skipped=self.skipped,
            failed=self.failed,
            without_twin=self.without_twin,
            reason=self.reason or self.skipped_reason,
            cursor=self.cursor,
            failed_key=self.failed_key,
            failing_since=written_time(now) if self.failed_key else "",
            skipped_key=self.skipped_key,
            skipped_reason=self.skipped_reason,
            twinless_key=self.twinless_key,
            forgotten=self.forgotten,
        )
        return self._with_what_still_fails(state, former)

    def _with_what_still_fails(self, state: SealState, former: SealState) -> SealState:
        """Keep since when a mail has been failing, also if it had no turn in this run."""
        if not former.failed_key:
            return state
        if state.failed_key == former.failed_key:
            return replace(state, failing_since=former.failing_since or state.failing_since)
        if self.cursor and not self.had_its_turn:
            return replace(
                state,
                reason=former.reason,
                failed_key=former.failed_key,
                failing_since=former.failing_since,
            )
        return state
