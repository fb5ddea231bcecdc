"""The tag by which we recognize our own resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from postamt_sync.bootstrap.change import Conflict, Note
from postamt_sync.events import printable

TAG = "postamt:stack"
"""The tag of every resource of ours that can be tagged; its value is the stack's name."""


NOT_OURS = Note("kept: this stack did not make it")
"""What removal says of a resource that has our name, and not our tag."""


class Named(Protocol):
    """A stack, or a part of it."""

    @property
    def name(self) -> str:
        """The stack's name."""


def is_ours(tags: Mapping[str, str], stack: Named) -> bool:
    return tags.get(TAG) == stack.name


def stranger(tags: Mapping[str, str], stack: Named) -> Conflict | None:
    """Return why a resource with our name must not be touched; None if it is ours."""
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
    """Return tags as a list of keys and values, which most AWS services expect."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def mapped(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return a list of keys and values as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags}
