"""The few kinds of values that outputs consist of, as JSON Schemas with a description.

Keys may always be added: programs that read the output must ignore those that they do not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]


def text(means: str, *, of: Iterable[str] = ()) -> Schema:
    """A text; `of` lists the possible words, of which there may be more one day."""
    words = ", ".join(str(word) for word in of)
    return _described({"type": "string"}, f"{means}: {words}" if words else means)


def number(means: str) -> Schema:
    """A number."""
    return _described({"type": "number"}, means)


def count(means: str) -> Schema:
    """A whole number, never below 0."""
    return _described({"type": "integer", "minimum": 0}, means)


def yes_no(means: str) -> Schema:
    """true or false."""
    return _described({"type": "boolean"}, means)


def moment(means: str) -> Schema:
    """A time: ISO 8601 in UTC, to the second."""
    return _described({"type": "string", "format": "date-time"}, means)


def maybe(schema: Schema, null: str) -> Schema:
    """A value that may be null, and what that means."""
    means = f"{schema['description']} (null: {null})"
    return {**schema, "type": [schema["type"], "null"], "description": means}


def many(means: str, each: Schema) -> Schema:
    """A list."""
    return _described({"type": "array", "items": each}, means)


def table(means: str, keys: dict[str, Schema], *, now_and_then: Iterable[str] = ()) -> Schema:
    """An object; all its keys are always present except those in `now_and_then`."""
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
    """A value of any form."""
    return _described({}, means)


def _described(kind: Schema, means: str) -> Schema:
    return {**kind, "description": means}


# What nearly every output says about a mail.
MAIL = text("its id, as in log lines and file names")
KEY = text("its S3 key")
PROBLEM = maybe(text("what is wrong"), "nothing")
FROM = maybe(text("From, decoded"), "not remembered")
SUBJECT = maybe(text("Subject, decoded"), "not remembered")
