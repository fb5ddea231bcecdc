"""How mail ages in the bucket (S3 User Guide, "Managing the lifecycle of objects").

Glacier Instant Retrieval, not plain Glacier: old mail must stay readable at once for a rebuilt box.
S3 itself leaves objects under 128 KB where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws import Aws
from postamt_sync.bootstrap.call import Call, Change, Guard, Item, Note
from postamt_sync.bootstrap.policy import same
from postamt_sync.bootstrap.resources.bucket import SOON
from postamt_sync.bootstrap.stack import Stack

RECENT_DAYS = 14
"""How long the poll can see a mail; a box that is off longer has the daily full listing."""

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Our two rules among those of others."""

    stack: Stack
    aws: Aws

    @property
    def title(self) -> str:
        return f"lifecycle of bucket {self.stack.bucket}"

    def plan(self) -> Iterator[Item]:
        seen = self._read()
        there = {rule.get("ID"): rule for rule in seen}
        wanted = _rules(self.stack)
        changed = [rule for rule in wanted if not same(there.get(rule["ID"]), rule)]
        if not changed:
            return
        ids = {rule["ID"] for rule in wanted}
        merged = [*(rule for rule in seen if rule.get("ID") not in ids), *wanted]
        words = "; ".join(
            f"{_words(there[rule['ID']])} → {_words(rule)}"
            if rule["ID"] in there
            else f"create: {_words(rule)}"
            for rule in changed
        )
        yield Change(f"rule {words}", [self._put(merged, seen)])

    def destroy(self) -> Iterator[Item]:
        ids = {rule["ID"] for rule in _rules(self.stack)}
        if any(rule.get("ID") in ids for rule in self._read()):
            yield Note("kept with the bucket")

    def _read(self) -> list[Rule]:
        missing = ("NoSuchLifecycleConfiguration", "NoSuchBucket")
        answer = self.aws.read(
            "s3",
            "get_bucket_lifecycle_configuration",
            missing=missing,
            Bucket=self.stack.bucket,
        )
        return list((answer or {}).get("Rules", []))

    def _put(self, rules: list[Rule], seen: list[Rule]) -> Call:
        return Call(
            "s3",
            "put_bucket_lifecycle_configuration",
            {"Bucket": self.stack.bucket, "LifecycleConfiguration": {"Rules": rules}},
            patience=SOON,
            guard=Guard(f"the lifecycle of bucket {self.stack.bucket}", self._read, seen),
        )


def _rules(stack: Stack) -> list[Rule]:
    archive: Rule = {
        "ID": "postamt-archive",
        "Status": "Enabled",
        "Filter": {"Prefix": stack.prefix},
        "Transitions": [
            {"Days": 30, "StorageClass": "STANDARD_IA"},
            {"Days": 90, "StorageClass": "GLACIER_IR"},
        ],
    }
    if not stack.recent_prefix:
        return [archive]
    recent: Rule = {
        "ID": "postamt-recent",
        "Status": "Enabled",
        "Filter": {"Prefix": stack.recent_prefix},
        # With Days, S3 also clears away the delete markers that this leaves in a versioned bucket.
        "Expiration": {"Days": RECENT_DAYS},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    return [archive, recent]


def _words(rule: Mapping[str, Any]) -> str:
    """Say what a rule does: "incoming/: STANDARD_IA after 30 days, GLACIER_IR after 90"."""
    deeds = [
        f"{move.get('StorageClass')} after {move.get('Days', '?')} days"
        for move in rule.get("Transitions", [])
    ]
    if "Expiration" in rule:
        deeds.append(f"expires after {rule['Expiration'].get('Days', '?')} days")
    old = rule.get("NoncurrentVersionExpiration")
    if old:
        deeds.append(f"old versions after {old.get('NoncurrentDays', '?')}")
    if rule.get("Status") != "Enabled":
        deeds.append("off")
    prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    return f"{prefix or 'everything'}: {', '.join(deeds) or 'nothing'}"
