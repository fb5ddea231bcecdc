"""Whose something is, by its tag: ours, another stack's, or made by somebody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postamt_sync.bootstrap.change import Conflict
from postamt_sync.bootstrap.stack import TAG, Stack
from postamt_sync.events import printable


def is_ours(tags: Mapping[str, str], stack: Stack) -> bool:
    return tags.get(TAG) == stack.name


def stranger(tags: Mapping[str, str], stack: Stack) -> Conflict | None:
    """Return why something of our name must not be touched; None if it is ours."""
    if is_ours(tags, stack):
        return None
    other = tags.get(TAG)
    if other is not None:
        return Conflict(
            f"it belongs to the stack {printable(other, 60)}.", "Choose another stack.name."
        )
    return Conflict(
        "one of this name is there already, and this stack did not make it.",
        f"Choose another stack.name; or, if it is yours to give, tag it {TAG}={stack.name}.",
    )


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as most of AWS wants them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def mapped(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return tags as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags}
