"""Merges what we want into what AWS has: its answers contain members that we do not set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postamt_sync.bootstrap.policy_document import same

_NAMES = ("Id", "PathPattern", "HeaderName", "Header")
"""The members that identify the entries of a list of mappings."""


def holds(there: Any, wanted: Any) -> bool:
    """Whether `there` has everything in `wanted`. Other members may have any value, but a list must
    have no further entries."""
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
    """Return `wanted`, completed by what is `there` wherever `wanted` says nothing."""
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        laid = {name: overlaid(there.get(name), value) for name, value in wanted.items()}
        return {**there, **laid}
    if isinstance(wanted, list) and isinstance(there, list):
        return [overlaid(_like(there, e), e) if isinstance(e, Mapping) else e for e in wanted]
    return wanted


def _like(entries: list[Any], wanted: Mapping[str, Any]) -> Any:
    """Return the entry identified like the wanted one; None if there is none."""
    name = next((n for n in _NAMES if n in wanted), "")
    return next(
        (e for e in entries if isinstance(e, Mapping) and name and e.get(name) == wanted[name]),
        None,
    )
