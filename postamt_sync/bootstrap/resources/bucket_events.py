"""S3's "object created" events of our prefixes, sent to the topic, among the bucket's other events.

Mail sent from the webmail is announced too, so that it comes home at once; the poll would find it
later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, Guard, PlanItem
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.events import printable
from postamt_sync.mail.sent_mail import SENT_PREFIX

CREATED = "s3:ObjectCreated:*"
KINDS = (
    "TopicConfigurations",
    "QueueConfigurations",
    "LambdaFunctionConfigurations",
)

Configuration = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BucketEventsResource:
    """Our entries, recognized by their Ids. S3 can only replace the whole configuration, so those
    of others are written back unchanged.
    """

    stack: Stack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"events of bucket {self.stack.bucket}"

    @property
    def _id(self) -> str:
        return f"postamt-{self.stack.name}"

    @property
    def _ids(self) -> tuple[str, str]:
        return self._id, f"{self._id}-sent"

    def plan(self) -> Iterator[PlanItem]:
        seen = self._read()
        theirs = [
            other
            for kind in KINDS
            for other in seen.get(kind, [])
            if other.get("Id") not in self._ids
        ]
        there = self._ours(seen)
        entries = {self._id: self._entry(self._id, self.stack.prefix)}
        if self._id not in there or not _says_the_same(there[self._id], entries[self._id]):
            for other in theirs:
                if _overlaps(other, self.stack.prefix):
                    yield Conflict(
                        f"the entry {printable(str(other.get('Id')), 80)} already sends the events "
                        f"of {_prefix(other) or 'everything'} elsewhere, and S3 allows one.",
                        "Remove that entry and let the topic tell its receiver too.",
                    )
                    return
        # If someone else receives those events, only the poll brings sent mail home.
        if self._announces_sent and not any(_overlaps(other, SENT_PREFIX) for other in theirs):
            name = self._ids[1]
            entries[name] = self._entry(name, SENT_PREFIX)
        changes = list(self._changes(there, entries))
        if changes:
            others = [
                t for t in seen.get("TopicConfigurations", []) if t.get("Id") not in self._ids
            ]
            wanted = {**seen, "TopicConfigurations": [*others, *entries.values()]}
            yield Change("; ".join(changes), [self._put(wanted, seen)])

    def _changes(
        self, there: Mapping[str, Configuration], wanted: Mapping[str, Configuration]
    ) -> Iterator[str]:
        for name in self._ids:
            old, new = there.get(name), wanted.get(name)
            if old is not None and new is not None and _says_the_same(old, new):
                continue
            if verb := "restore" if old and new else "create" if new else "remove" if old else "":
                shown = _prefix(new or old or {}) or "everything"
                yield f"objects created in {shown} to topic {self.stack.name}: {verb}"

    @property
    def _announces_sent(self) -> bool:
        """Whether sent mail needs an entry of its own, beside the one for received mail."""
        prefix = self.stack.prefix
        overlap = SENT_PREFIX.startswith(prefix) or prefix.startswith(SENT_PREFIX)
        return self.stack.webmail is not None and not overlap

    def destroy(self) -> Iterator[PlanItem]:
        seen = self._read()
        if not self._ours(seen):
            return
        topics = [t for t in seen["TopicConfigurations"] if t.get("Id") not in self._ids]
        wanted = {**seen, "TopicConfigurations": topics}
        yield Change(
            f"objects created to topic {self.stack.name}: remove", [self._put(wanted, seen)]
        )

    def _ours(self, configuration: Configuration) -> dict[str, Configuration]:
        topics = configuration.get("TopicConfigurations", [])
        return {t["Id"]: t for t in topics if t.get("Id") in self._ids}

    def _read(self) -> Configuration:
        answer = self.aws.read(
            "s3",
            "get_bucket_notification_configuration",
            missing=("NoSuchBucket",),
            Bucket=self.stack.bucket,
        )
        found = answer or {}
        kept: Configuration = {kind: _as_put(found[kind]) for kind in KINDS if kind in found}
        if "EventBridgeConfiguration" in found:
            kept["EventBridgeConfiguration"] = found["EventBridgeConfiguration"]
        return kept

    def _entry(self, name: str, prefix: str) -> Configuration:
        entry: Configuration = {
            "Id": name,
            "TopicArn": self.stack.topic_arn,
            "Events": [CREATED],
        }
        if prefix:
            rules = [{"Name": "prefix", "Value": prefix}]
            entry["Filter"] = {"Key": {"FilterRules": rules}}
        return entry

    def _put(self, wanted: Configuration, seen: Configuration) -> Call:
        return Call(
            "s3",
            "put_bucket_notification_configuration",
            {"Bucket": self.stack.bucket, "NotificationConfiguration": wanted},
            # S3 tests that it may publish to the topic, whose policy may not be in effect yet.
            retry_on=("InvalidArgument", "NoSuchBucket", "OperationAborted"),
            guard=Guard(f"the events of bucket {self.stack.bucket}", self._read, seen),
        )


def _as_put(entries: list[Configuration]) -> list[Configuration]:
    """Return entries as S3 accepts them: it returns "Prefix" for "prefix"."""
    put = []
    for entry in entries:
        rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        lower = [{**rule, "Name": rule.get("Name", "").lower()} for rule in rules]
        put.append({**entry, "Filter": {"Key": {"FilterRules": lower}}} if rules else entry)
    return put


def _says_the_same(one: Configuration, other: Configuration) -> bool:
    return (
        same(one.get("TopicArn"), other.get("TopicArn"))
        and same(one.get("Events"), other.get("Events"))
        and _prefix(one) == _prefix(other)
        and _suffix(one) == _suffix(other)
    )


def _overlaps(entry: Configuration, prefix: str) -> bool:
    """Whether S3 would refuse our entry beside this one."""
    if not any(str(event).startswith("s3:ObjectCreated") for event in entry.get("Events", [])):
        return False
    theirs = _prefix(entry)
    return theirs.startswith(prefix) or prefix.startswith(theirs)


def _prefix(entry: Configuration) -> str:
    return _filter(entry, "prefix")


def _suffix(entry: Configuration) -> str:
    return _filter(entry, "suffix")


def _filter(entry: Configuration, name: str) -> str:
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return next((r.get("Value", "") for r in rules if r.get("Name") == name), "")
