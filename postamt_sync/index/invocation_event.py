"""What the index function is invoked with: by SNS, by the sealing function, or by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

SEALED_KEYS = "sealed"
"""The sealing function's events have a list of keys by this name."""


def sealed_keys_of(event: object) -> Sequence[str]:
    """Return the keys of mail that was sealed, none where it is another event."""
    keys = event.get(SEALED_KEYS) if isinstance(event, Mapping) else None
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []


def messages_of(event: object) -> Iterator[str | None]:
    """Yield SNS's messages (Lambda developer guide, "Amazon SNS"), None for what is none: anybody
    may invoke a function by hand."""
    if isinstance(event, Mapping) and SEALED_KEYS in event:
        return
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        yield None
        return
    for record in records:
        sns = record.get("Sns") if isinstance(record, Mapping) else None
        message = sns.get("Message") if isinstance(sns, Mapping) else None
        yield message if isinstance(message, str) else None
