"""Is mail sealed as it should be? What the function says of its last run; how long keys last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from postamt_sync.bootstrap.resources.table import MISSING
from postamt_sync.config import Settings
from postamt_sync.config.command import typed
from postamt_sync.doctor.account import APPLY, AwsAccount
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.log_line import printable
from postamt_sync.mail.seal_table import KEY, STATE, read_time
from postamt_sync.quantities import count
from postamt_sync.seal.key_files import read_key_files
from postamt_sync.seal.records import LONGEST_REST, SealState, state_of
from postamt_sync.seal.sealing import Refusal


@dataclass(frozen=True, slots=True)
class SealingCheck:
    """Of the function it asks for no more than what the daemon's own user may read."""

    settings: Settings
    account: AwsAccount

    @property
    def subject(self) -> str:
        return "sealing"

    def look(self) -> Iterable[Finding]:
        now = datetime.now(UTC)
        yield from self._keys(now)
        stack, aws = self.account.open()
        assert stack.seal is not None  # else nobody looks
        answer = aws.read(
            "dynamodb",
            "get_item",
            missing=MISSING,
            TableName=stack.seal.table,
            Key={KEY: {"S": STATE}},
            ConsistentRead=True,
        )
        if answer is None:
            yield self._bad(f"There is no table {stack.seal.table}.", APPLY)
            return
        yield from self._run(state_of(answer.get("Item", {})), now, stack.seal.log_group)

    def _keys(self, now: datetime) -> Iterator[Finding]:
        for each in read_key_files(self.settings.seal_keys, now):
            if each.refused is not None:
                yield self._warn(f"{each.shown}: {each.refused.problem}", each.refused.hint)
            elif each.key is not None and each.key.ends_soon(now):
                yield self._warn(
                    f"The key in {each.shown} ends on {each.key.expires:%Y-%m-%d}.",
                    "Make it last longer, export it again, then: postamt-sync bootstrap apply",
                )

    def _run(self, state: SealState | None, now: datetime, log: str) -> Iterator[Finding]:
        if state is None:
            yield self._warn(
                "The sealing function has not run yet.", "It does so daily, at 03:17 UTC."
            )
            return
        if now - state.ran_at > LONGEST_REST:
            ran = f"The sealing function ran last on {state.ran_at:%Y-%m-%d %H:%M} UTC."
            yield self._bad(ran, f"See its log, {log}, and: postamt-sync bootstrap plan")
        if state.without_twin:
            mails = count(state.without_twin, "plain mail")
            yield self._bad(
                f"{mails} may expire, and is not sealed{_one(state.twinless_key)}: it was tagged, "
                "or what was sealed went.",
                f"Their keys are in the log, {log}: remove the tag postamt-seal, or bring back "
                "what has expired, as a version.",
            )
        if state.refused:
            yield self._refused(state)
        elif state.failed:
            since = f", since {state.failing_since[:10]}" if read_time(state.failing_since) else ""
            failed = (
                f"{count(state.failed, 'mail')} could not be sealed: {printable(state.reason)}"
                f"{_one(state.failed_key)}{since}."
            )
            yield self._warn(failed, f"It is tried again each day; see the log, {log}")
        else:
            yield Finding(self.subject, Severity.OK, _told(state))

    def _refused(self, state: SealState) -> Finding:
        source = self.settings.source
        why = {
            Refusal.NO_WATERMARK: (
                "the box has not yet said up to when its mail is settled.",
                "It does so after its first full listing: see postamt-sync status",
            ),
            Refusal.STALE_WATERMARK: (
                "the box has said nothing for three days, or its clock is wrong.",
                "See postamt-sync status on the box.",
            ),
            Refusal.OTHER_MAIL: (
                "the box speaks of another bucket or prefix than the function's.",
                f"Restart the daemon if the configuration was changed. {APPLY}",
            ),
            Refusal.KEY: (
                f"a key cannot be sealed with: {printable(state.reason)}",
                f"See: {typed('seal check', source)}",
            ),
            Refusal.UNPROVED: (
                "nobody has shown that what is sealed can be opened.",
                f"Do so: {typed('seal prove', source)}",
            ),
            Refusal.UNVERSIONED: (
                "the bucket keeps no versions, so that nothing could be brought back.",
                f"Switch them on. {APPLY}",
            ),
        }
        known = next((each for each in Refusal if each == state.refused), None)
        reason, remedy = why[known] if known else (printable(state.refused), f"{APPLY}.")
        return self._bad(f"Nothing is sealed: {reason}", remedy)

    def _bad(self, words: str, remedy: str) -> Finding:
        return Finding(self.subject, Severity.FAILURE, words, remedy)

    def _warn(self, words: str, remedy: str) -> Finding:
        return Finding(self.subject, Severity.WARNING, words, remedy)


def _told(state: SealState) -> str:
    left = f", {state.backlog} to go" if state.backlog else ""
    cannot = f", {state.skipped} cannot be" if state.skipped else ""
    if cannot and state.skipped_key:
        cannot += f" ({printable(state.skipped_key, 80)}: {printable(state.skipped_reason)})"
    mails = count(state.sealed_total, "mail")
    return f"{mails} sealed{left}{cannot}; last run {state.ran_at:%Y-%m-%d %H:%M} UTC."


def _one(key: str) -> str:
    """Name one of the mails, whatever its key is."""
    return f" ({printable(key, 80)})" if key else ""
