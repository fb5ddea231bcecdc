"""Members of untrusted JSON, each checked for its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

LARGEST_SIZE = 2**63 - 1
"""Bytes. What SQLite can store; S3's own limit is far below."""

_T = TypeVar("_T", str, int, dict[str, object], list[object])


class NotUnderstoodError(Exception):
    """The message is not what it should be. The sentence holds no untrusted text."""


def member(members: dict[str, object], name: str, read: Callable[[object, str], _T]) -> _T:
    """Return a member as one of the `as_` functions reads it; raises NotUnderstoodError."""
    if name not in members:
        raise NotUnderstoodError(f"{name} is missing")
    return read(members[name], name)


def optional(members: dict[str, object], name: str, read: Callable[[object, str], _T]) -> _T | None:
    """Do the same for a member that may be missing or null."""
    value = members.get(name)
    return None if value is None else read(value, name)


def as_object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise NotUnderstoodError(f"{what} is not a JSON object")
    return value


def as_list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise NotUnderstoodError(f"{what} is not a list")
    return value


def as_text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise NotUnderstoodError(f"{what} is not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotUnderstoodError(f"{what} is not valid Unicode") from None
    return value


def as_number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_SIZE:
        raise NotUnderstoodError(f"{what} is not a size in bytes")
    return value


def no_number(_: str) -> NoReturn:
    raise NotUnderstoodError("a number that JSON does not have")
