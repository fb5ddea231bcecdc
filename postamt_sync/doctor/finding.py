"""What a check finds, and which findings follow from another: a domain that is not there, a stack
that nobody has made.

What follows goes away with its cause, so a person is told of it as a part of that.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """The cause of what follows from a thing that does not exist at AWS."""

    thing: str


CREDENTIALS = "credentials"
"""The cause of what could not be checked without working credentials."""
STACK = Missing("stack")

FindingCause = str | Missing
"""CREDENTIALS, a domain that does not exist, or something missing; "" where none is known."""


class Severity(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what was looked at; `remedy` is empty where all is well.

    Findings of one `cause` are told together (`causes`). One that `follows` is no cause by itself:
    it stands alone where none is found.
    """

    subject: str
    outcome: Severity
    words: str
    remedy: str = ""
    cause: FindingCause = ""
    follows: bool = False


_BUCKET = Missing("bucket")
_PARTS = tuple(map(Missing, ("bucket", "topic", "queue", "dead letters", "index")))
PARTS_OF_A_STACK = 3
"""So many that are to be made mean that none has been."""


def causes(findings: Sequence[Finding]) -> dict[int, int]:
    """Return, by their places in `findings`, of which finding each one is a consequence."""
    bad = [(n, f) for n, f in enumerate(findings) if f.outcome is not Severity.OK]
    roots: dict[FindingCause, int] = {}
    for place, finding in bad:
        if finding.cause and not finding.follows:
            roots.setdefault(finding.cause, place)
    _join_what_was_never_made(roots)
    first: dict[tuple[str, ...], int] = {}
    found: dict[int, int] = {}
    for place, finding in bad:
        cause = finding.cause
        if isinstance(cause, Missing) and cause != STACK:
            roots.setdefault(cause, place)  # nobody may look at the thing itself
        said = (finding.outcome, finding.words, finding.remedy)
        root = roots.get(cause, first.setdefault(said, place))
        if root != place:
            found[place] = root
    return {place: found.get(root, root) for place, root in found.items()}


def _join_what_was_never_made(roots: dict[FindingCause, int]) -> None:
    missing = [cause for cause in roots if isinstance(cause, Missing)]
    if STACK in roots or len({roots[cause] for cause in missing}) >= PARTS_OF_A_STACK:
        root = roots.get(STACK, roots.get(_BUCKET, roots[missing[0]]))
        roots |= dict.fromkeys([*missing, STACK, *_PARTS], root)
