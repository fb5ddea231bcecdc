"""The few kinds of value of which outputs are made, each with its meaning, as JSON Schema has it.

A key may always be added: what reads the output passes over those that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]


def text(means: str, *, of: Iterable[str] = ()) -> Schema:
    """Text; `of` names the words that there are, of which there may be more one day."""
    words = ", ".join(str(word) for word in of)
    return _described({"type": "string"}, f"{means}: {words}" if words else means)


def number(means: str) -> Schema:
    """Any number."""
    return _described({"type": "number"}, means)


def count(means: str) -> Schema:
    """A whole number, never below 0."""
    return _described({"type": "integer", "minimum": 0}, means)


def yes_no(means: str) -> Schema:
    """true or false."""
    return _described({"type": "boolean"}, means)


def moment(means: str) -> Schema:
    """ISO 8601 in UTC, to the second."""
    return _described({"type": "string", "format": "date-time"}, means)


def maybe(schema: Schema, null: str) -> Schema:
    """What may be null, and what that means."""
    means = f"{schema['description']} (null: {null})"
    return {**schema, "type": [schema["type"], "null"], "description": means}


def many(means: str, each: Schema) -> Schema:
    """A list."""
    return _described({"type": "array", "items": each}, means)


def table(means: str, keys: dict[str, Schema], *, now_and_then: Iterable[str] = ()) -> Schema:
    """An object; all its keys are there, but for those that are there only now and then."""
    rare = set(now_and_then)
    kind = {
        "type": "object",
        "properties": keys,
        "required": [key for key in keys if key not in rare],
    }
    return _described(kind, means)


def by_name(means: str, each: Schema) -> Schema:
    """An object whose keys are names."""
    return _described({"type": "object", "additionalProperties": each}, means)


def anything(means: str) -> Schema:
    """What has a form of its own."""
    return _described({}, means)


def _described(kind: Schema, means: str) -> Schema:
    return {**kind, "description": means}


# What nearly every output says of a mail.
MAIL = text("its id, as in log lines and file names")
KEY = text("its S3 key")
PROBLEM = maybe(text("why not"), "nothing is wrong")
FROM = maybe(text("From, decoded"), "not remembered")
SUBJECT = maybe(text("Subject, decoded"), "not remembered")
