from __future__ import annotations

import pytest

from postamt_sync.doctor.clock import ClockCheck, date_at_aws
from postamt_sync.doctor.finding import Severity
from postamt_sync.errors import TryLaterError

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("off", "outcome", "words"),
    [
        (0, Severity.OK, "agrees"),
        (-9, Severity.OK, "agrees"),
        (60, Severity.WARNING, "60 s fast"),
        (-300, Severity.WARNING, "5 min slow"),
        (600, Severity.FAILURE, "10 min fast."),
        (-3600, Severity.FAILURE, "60 min slow: AWS refuses"),
    ],
)
def test_how_far_off_it_is(off: float, outcome: Severity, words: str) -> None:
    (found,) = ClockCheck(lambda: NOW, lambda: NOW + off).look()
    assert found.outcome is outcome
    assert words in found.words
    assert ("timedatectl" in found.remedy) is (outcome is not Severity.OK)


@pytest.mark.slow
def test_where_nobody_answers_it_is_no_matter_of_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(TryLaterError, match="could not be reached"):
        date_at_aws("eu-west-1")
