"""Conditions in policies, which the emulator takes for a refusal wherever it cannot read them.

A statement with a condition that does not hold says nothing (IAM User Guide, "Policy evaluation
logic"). Every request to the emulator counts as one over TLS: loopback stands for it. What is not
known of a request counts as holding: that a policy's conditions are right is tested elsewhere.
"""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult

KNOWN = {"aws:SecureTransport": "true"}

_ORIGINAL = IAMPolicyStatement.is_action_permitted


def install() -> None:
    """Judge by the conditions that can be known."""
    IAMPolicyStatement.is_action_permitted = _is_action_permitted


def _is_action_permitted(
    statement: IAMPolicyStatement, action: str, resource: str = "*", *_: Any
) -> PermissionResult:
    document = statement._statement  # noqa: SLF001
    for operator in document.get("Condition", {}).values():
        for key, value in operator.items():
            if key in KNOWN and value != KNOWN[key]:
                return PermissionResult.NEUTRAL
    # A policy of the bucket for a service says nothing of our own users.
    if "Service" in (document.get("Principal") or {}):
        return PermissionResult.NEUTRAL
    bare = IAMPolicyStatement({k: v for k, v in document.items() if k != "Condition"})
    return _ORIGINAL(bare, action, resource)
