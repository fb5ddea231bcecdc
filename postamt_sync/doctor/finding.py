"""What a check found: well or not, one sentence, one remedy."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what was looked at; `remedy` is empty where all is well."""

    subject: str
    outcome: Severity
    words: str
    remedy: str = ""
