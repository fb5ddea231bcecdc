"""What a policy allows, as far as ours need it (IAM User Guide, "Policy evaluation logic").

An operator or a condition that is not known here is an error: never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from postamt_sync.bootstrap.policy_document import Document, Statement, statements

Context = Mapping[str, str]
"""The condition keys of a request, as a service fills them in."""


def allows(policy: Document, action: str, resource: str, context: Context) -> bool:
    """Tell whether the policy allows it: one statement must, and none may deny it."""
    effects = {
        statement["Effect"]
        for statement in statements(policy)
        if _applies(statement, action, resource, context)
    }
    return effects == {"Allow"}


def _applies(statement: Statement, action: str, resource: str, context: Context) -> bool:
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    return (
        any(_like(action.lower(), pattern.lower()) for pattern in _list(statement["Action"]))
        and any(_like(resource, pattern) for pattern in _list(statement["Resource"]))
        and all(
            _holds(operator, key, _list(wanted), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    if key not in context:
        return operator.endswith("IfExists")
    compare = _OPERATORS[operator.removesuffix("IfExists")]
    return any(compare(context[key], value) for value in wanted)


def _like(value: str, pattern: str) -> bool:
    """Compare with `*` and `?`; case counts, and no other character means anything."""
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, value, re.DOTALL) is not None


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": _like,
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
