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


def allows(
    policy: Document, action: str, resource: str, context: Context, principal: str | None = None
) -> bool:
    """Tell whether the policy allows it: one statement must, and none may deny it.

    `principal` is a service, or the ARN of an account's root, where the policy hangs on a resource;
    where it hangs on a user or role there is none in it.
    """
    effects = {
        statement["Effect"]
        for statement in statements(policy)
        if _is_of(statement, principal) and _applies(statement, action, resource, context)
    }
    return effects == {"Allow"}


def _is_of(statement: Statement, principal: str | None) -> bool:
    assert ("Principal" in statement) is (principal is not None)
    named = statement.get("Principal")
    if isinstance(named, Mapping):
        return principal in [one for ones in named.values() for one in _list(ones)]
    return named in {None, "*"}


def _applies(statement: Statement, action: str, resource: str, context: Context) -> bool:
    assert statement.keys() <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
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
    if operator == "Null":  # whether the request has no such key at all
        return wanted == [str(key not in context).lower()]
    negated = "Not" in operator
    if key not in context:
        return negated or operator.endswith("IfExists")
    compare = _OPERATORS[operator.removesuffix("IfExists").replace("Not", "")]
    return any(compare(context[key], value) for value in wanted) != negated


def _like(value: str, pattern: str) -> bool:
    """Compare with `*` and `?`; case counts, and no other character means anything.

    `${*}`, `${?}` and `${$}` are these characters themselves (IAM User Guide, "Variables and
    tags"), any other `${` begins a variable.
    """
    parts = re.split(r"(\$\{.\}|[*?])", pattern, flags=re.DOTALL)
    assert not any("${" in part for part in parts[::2]), pattern
    signs = {"*": ".*", "?": ".", "${*}": r"\*", "${?}": r"\?", "${$}": r"\$"}
    regex = "".join(signs[p] if n % 2 else re.escape(p) for n, p in enumerate(parts))
    return re.fullmatch(regex, value, re.DOTALL) is not None


def _equal(value: str, wanted: str) -> bool:
    plain = re.sub(r"\$\{([*?$])\}", r"\1", wanted)
    assert "${" not in wanted.replace("${$}", "").replace("${*}", "").replace("${?}", ""), wanted
    return value == plain


def _arn_like(value: str, pattern: str) -> bool:
    """Compare part by part: no `*` reaches beyond a colon but for the last part's."""
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(_like, parts, patterns))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": lambda value, wanted: _equal(value.lower(), wanted.lower()),
    "StringLike": _like,
    "ArnLike": _arn_like,
    "ArnEquals": _arn_like,  # which IAM says of both
    "Bool": lambda value, wanted: value == wanted,
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
