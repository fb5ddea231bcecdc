"""What we want laid over what is there: AWS answers with members that we never named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postamt_sync.bootstrap.policy_document import same

_NAMES = ("Id", "PathPattern", "HeaderName", "Header")
"""What the entries of a list are told apart by, where they are not just values."""


def holds(there: Any, wanted: Any) -> bool:
    """Tell whether what is there is what is wanted; what is not named in `wanted` may be anything,
    but a list has no entry more."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            holds(there.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(there, list) or len(there) != len(wanted):
            return False
        if not all(isinstance(entry, Mapping) for entry in wanted):
            return same(there, wanted)
        return all(any(holds(one, entry) for one in there) for entry in wanted)
    return bool(there == wanted)


def overlaid(there: Any, wanted: Any) -> Any:
    """Return what is wanted, with what is there wherever `wanted` says nothing of it."""
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        laid = {name: overlaid(there.get(name), value) for name, value in wanted.items()}
        return {**there, **laid}
    if isinstance(wanted, list) and isinstance(there, list):
        return [overlaid(_like(there, e), e) if isinstance(e, Mapping) else e for e in wanted]
    return wanted


def _like(entries: list[Any], wanted: Mapping[str, Any]) -> Any:
    """Return the entry that has the name of the wanted one; None where there is none."""
    name = next((n for n in _NAMES if n in wanted), "")
    return next(
        (e for e in entries if isinstance(e, Mapping) and name and e.get(name) == wanted[name]),
        None,
    )
