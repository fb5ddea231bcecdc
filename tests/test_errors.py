"""What scripts and units rely on."""

from __future__ import annotations

from postamt_sync.errors import (
    CredentialsError,
    ExitCode,
    MisconfiguredError,
    PostamtError,
    TryLaterError,
    UndeliverableError,
    UsageError,
)

EXIT_CODES = {
    "OK": 0,
    "UNDELIVERED": 1,
    "CHANGES": 2,
    "FINDINGS": 3,
    "USAGE": 64,
    "INTERNAL": 70,
    "TRY_LATER": 75,
    "CONFIGURATION": 78,
    "INTERRUPTED": 130,
    "OUTPUT_CLOSED": 141,
}
"""Adding is fine, changing is not: scripts and CronJobs ask for the numbers."""


def test_exit_codes_stay_as_they_are() -> None:
    assert {name: code.value for name, code in ExitCode.__members__.items()} == EXIT_CODES


def test_each_kind_of_error_has_its_code() -> None:
    assert PostamtError.exit_code is ExitCode.TRY_LATER  # temporary until proven permanent
    assert PostamtError.temporary
    assert TryLaterError.exit_code is ExitCode.TRY_LATER
    assert UndeliverableError.exit_code is ExitCode.UNDELIVERED
    assert UsageError.exit_code is ExitCode.USAGE
    assert MisconfiguredError.exit_code is ExitCode.CONFIGURATION
    assert CredentialsError.exit_code is ExitCode.CONFIGURATION
