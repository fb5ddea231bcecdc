"""What `doctor` says of sealing: by the function's own word, and the keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pysequoia
import pytest

from postamt_sync.bootstrap.open_stack import stack_of
from postamt_sync.config import Settings, load
from postamt_sync.doctor.account import AwsAccount
from postamt_sync.doctor.check import findings_of
from postamt_sync.doctor.finding import Severity
from postamt_sync.doctor.sealing import SealingCheck
from postamt_sync.mail.seal_table import written_time
from postamt_sync.seal.records import SealState
from tests.config.test_seal_rules import written
from tests.doubles.account import ACCOUNT

WELL = SealState(datetime.now(UTC), sealed=3, sealed_total=40)


class Aws:
    """Holds the function's item; None: there is no table."""

    def __init__(self, state: SealState | None, there: bool = True) -> None:
        self.state, self.there = state, there

    def read(self, service: str, operation: str, **_: Any) -> dict[str, Any] | None:
        assert (service, operation) == ("dynamodb", "get_item")
        if not self.there:
            return None
        if self.state is None:
            return {}
        texts = {
            name: getattr(self.state, name)
            for name in (
                *("refused", "reason", "failed_key", "failing_since"),
                *("skipped_key", "skipped_reason", "twinless_key"),
            )
        }
        numbers = ("sealed", "sealed_total", "backlog", "skipped", "failed", "without_twin")
        return {
            "Item": {
                "ran_at": {"S": written_time(self.state.ran_at)},
                **{name: {"S": text} for name, text in texts.items()},
                **{name: {"N": str(getattr(self.state, name))} for name in numbers},
            }
        }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    secret = pysequoia.Tsk.generate("owner@example.com")
    (tmp_path / "owner.asc").write_bytes(bytes(secret.extract_certificate()))
    return load(written(tmp_path, seal='keys = ["owner.asc"]'), {})


def found(settings: Settings, aws: Aws) -> list[tuple[Severity, str]]:
    account = AwsAccount(lambda: (stack_of(settings, ACCOUNT), cast("Any", aws)))
    seen = list(findings_of(SealingCheck(settings, account)))
    assert all(finding.remedy or finding.outcome is Severity.OK for finding in seen)
    return [(finding.outcome, finding.words) for finding in seen]


def test_where_all_is_well_it_says_how_much(settings: Settings) -> None:
    ((outcome, words),) = found(settings, Aws(replace(WELL, backlog=7, skipped=2)))
    assert outcome is Severity.OK
    assert words.startswith("40 mails sealed, 7 to go, 2 cannot be; last run ")


@pytest.mark.parametrize(
    ("change", "outcome", "words"),
    [
        ({"refused": "unproved"}, Severity.FAILURE, "nobody has shown"),
        ({"refused": "no-watermark"}, Severity.FAILURE, "has not yet said"),
        ({"refused": "stale-watermark"}, Severity.FAILURE, "three days"),
        ({"refused": "other-mail"}, Severity.FAILURE, "another bucket or prefix"),
        ({"refused": "key", "reason": "It expired."}, Severity.FAILURE, "It expired."),
        ({"refused": "of\x1b tomorrow"}, Severity.FAILURE, "Nothing is sealed"),
        ({"without_twin": 2}, Severity.FAILURE, "2 plain mails"),
        ({"failed": 1, "reason": "SlowDown"}, Severity.WARNING, "SlowDown"),
        (
            {"failed": 1, "reason": "SlowDown", "failed_key": "incoming/\x1ba"}
            | {"failing_since": "2026-11-20T03:17:00Z"},
            Severity.WARNING,
            "a), since 2026-11-20.",
        ),
        (
            {"without_twin": 2, "twinless_key": "incoming/\x1ba"},
            Severity.FAILURE,
            "not sealed (incoming/",
        ),
        (
            {"skipped": 2, "skipped_key": "incoming/\x1ba", "skipped_reason": "it is odd"},
            Severity.OK,
            "a: it is odd)",
        ),
        ({"refused": "unversioned"}, Severity.FAILURE, "keeps no versions"),
        ({"ran_at": WELL.ran_at - timedelta(days=3)}, Severity.FAILURE, "ran last on"),
    ],
)
def test_what_is_not_well(
    settings: Settings, change: dict[str, Any], outcome: Severity, words: str
) -> None:
    seen = found(settings, Aws(replace(WELL, **change)))
    assert seen[0][0] is outcome
    assert words in seen[0][1]
    assert "\x1b" not in seen[0][1]


def test_before_its_first_run_and_before_it_is_built(settings: Settings) -> None:
    assert found(settings, Aws(None))[0][0] is Severity.WARNING
    ((outcome, words),) = found(settings, Aws(None, there=False))
    assert outcome is Severity.FAILURE
    assert "no table postamt-seal" in words


@pytest.mark.slow
def test_a_key_that_ends_soon_or_has_gone_bad(settings: Settings) -> None:
    file = settings.seal_keys[0]
    soon = pysequoia.Tsk.generate("owner@example.com", validity_seconds=20 * 86_400)
    file.write_bytes(bytes(soon.extract_certificate()))
    (outcome, words), _ = found(settings, Aws(WELL))
    assert (outcome, "ends on" in words) == (Severity.WARNING, True)
    file.write_bytes(b"gone")
    (outcome, words), _ = found(settings, Aws(WELL))
    assert (outcome, "not an OpenPGP certificate" in words) == (Severity.WARNING, True)
