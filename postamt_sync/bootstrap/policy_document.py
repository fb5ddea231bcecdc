"""Policy documents: our statements among those of others, recognized by their Sid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

VERSION = "2012-10-17"
_ROOT = re.compile(r"^arn:aws[a-z-]*:iam::([0-9]{12}):root$")

Statement = dict[str, Any]
Document = dict[str, Any]

WHERE_NOTHING_IS = {"Null": {"s3:if-none-match": "false"}}
"""A condition for s3:PutObject that allows only conditional writes, which never overwrite an object
(S3 User Guide, "Enforce conditional writes")."""


def document(*statements: Statement) -> Document:
    return {"Version": VERSION, "Statement": list(statements)}


def text(policy: Document) -> str:
    return json.dumps(policy, separators=(",", ":"))


def parse(policy: str | None) -> Document | None:
    """Parse a policy as AWS returns it; None for none. AWS only stores valid JSON."""
    if not policy:
        return None
    read: Document = json.loads(policy)
    return read


def same(one: Any, other: Any) -> bool:
    """Whether two documents mean the same: AWS reorders lists and unwraps those of one element."""
    return bool(_plain(one) == _plain(other))


def with_statements(policy: Document | None, ours: Sequence[Statement]) -> Document:
    """Return the policy with our statements, each in place of the one with the same Sid."""
    sids = {statement["Sid"] for statement in ours}
    others = [s for s in statements(policy) if s.get("Sid") not in sids]
    return {**(policy or document()), "Statement": [*others, *ours]}


def differences(policy: Document | None, ours: Sequence[Statement]) -> Iterator[str]:
    """Yield, in words, which of our statements are missing or were changed."""
    there = {s.get("Sid"): s for s in statements(policy)}
    for statement in ours:
        sid = statement["Sid"]
        if sid not in there:
            yield f"statement {sid}: create"
        elif not same(there[sid], statement):
            yield f"statement {sid}: was changed, restore it"


def statements(policy: Document | None) -> list[Statement]:
    """Return the statements as a list; AWS may give a single one without it."""
    found = (policy or {}).get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)  # type: ignore[list-item]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(_one_way(key, inner)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        items = sorted(
            (_plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
        return items[0] if len(items) == 1 else items
    return value


def _one_way(key: str, value: Any) -> Any:
    """Normalize what AWS may write in several ways (IAM User Guide, "JSON policy elements")."""
    if key in {"Action", "NotAction"}:  # which are case-insensitive
        return [action.lower() for action in ([value] if isinstance(value, str) else value)]
    if key == "Principal" and value == {"AWS": "*"}:
        return "*"
    if key == "AWS":
        accounts = [value] if isinstance(value, str) else value
        return [_ROOT.sub(r"\1", account) for account in accounts]
    return value
