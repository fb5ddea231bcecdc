"""How mail ages in the bucket (S3 User Guide, "Managing the lifecycle of objects").

Old mail goes to Glacier Instant Retrieval, not plain Glacier, because a rebuilt box must be able to
read it at once. S3 itself does not move objects under 128 KB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Guard, Note, PlanItem
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.resources.bucket import SOON
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import RECENT_DAYS
from postamt_sync.events import printable
from postamt_sync.mail.sealed_name import SEALED_TAG

INFREQUENT_AFTER_DAYS = 30
"""The earliest that S3 moves an object to Standard-IA."""
ARCHIVE_AFTER_DAYS = 90

SMALLEST = "TransitionDefaultMinimumObjectSize"

SEALED_AWAY, MARKERS, SEALED = "postamt-sealed-away", "postamt-delete-markers", "postamt-sealed"
SEALING = (SEALED_AWAY, MARKERS, SEALED)
"""Rules for sealed mail: they stay when sealing is switched off, to finish what it began."""
_ENDING = (SEALED_AWAY, MARKERS)
RECENT = "postamt-recent"

SEALED_ARCHIVE_AFTER_DAYS = 1
"""Sealed mail is only read by someone who has lost the copies at home."""

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LifecycleResource:
    """Our rules among those of others; deleted with the bucket if `delete_mail` names it."""

    stack: Stack
    aws: AwsClient
    delete_mail: str = ""

    @property
    def title(self) -> str:
        return f"lifecycle of bucket {self.stack.bucket}"

    def plan(self) -> Iterator[PlanItem]:
        seen = self._read()
        there = {rule.get("ID"): rule for rule in seen.get("Rules", [])}
        wanted = lifecycle_rules(self.stack)
        former = list(_former(there, wanted))
        ids = {rule["ID"] for rule in (*wanted, *former)} | {_former_id(rule) for rule in wanted}
        others = [rule for rule in seen.get("Rules", []) if rule.get("ID") not in ids]
        for rule in others:
            if not _is_of_sealing(rule) and _deletes(rule, self.stack.prefix):
                yield Note(
                    f"rule {printable(str(rule.get('ID')), 80)}, which is not ours, deletes mail: "
                    f"{printable(_words(rule), 200)}"
                )
        yield from _left_behind(there, wanted, self.stack.sealed_prefix)
        changed = [rule for rule in wanted if not _says_the_same(there.get(rule["ID"]), rule)]
        if not changed:
            return
        merged = [*(_with_filter(rule) for rule in others), *former, *wanted]
        message = "; ".join(
            f"{_words(there[rule['ID']])} → {_words(rule)}"
            if rule["ID"] in there
            else f"create: {_words(rule)}"
            for rule in changed
        )
        yield Change(f"rule {message}", [self._put(merged, seen)])

    def destroy(self) -> Iterator[PlanItem]:
        if self.delete_mail == self.stack.bucket:
            return
        ids = {rule["ID"] for rule in lifecycle_rules(self.stack)}
        if any(rule.get("ID") in ids for rule in self._read().get("Rules", [])):
            yield Note("kept with the bucket")

    def _read(self) -> dict[str, Any]:
        missing = ("NoSuchLifecycleConfiguration", "NoSuchBucket")
        answer = self.aws.read(
            "s3",
            "get_bucket_lifecycle_configuration",
            missing=missing,
            Bucket=self.stack.bucket,
        )
        return {
            name: value for name, value in (answer or {}).items() if name in ("Rules", SMALLEST)
        }

    def _put(self, rules: list[Rule], seen: dict[str, Any]) -> Call:
        # If left out, S3 resets it to its default for all rules, those of others too.
        smallest = {SMALLEST: seen[SMALLEST]} if seen.get(SMALLEST) else {}
        return Call(
            "s3",
            "put_bucket_lifecycle_configuration",
            {
                "Bucket": self.stack.bucket,
                "LifecycleConfiguration": {"Rules": rules},
                **smallest,
            },
            retry_on=SOON,
            guard=Guard(f"the lifecycle of bucket {self.stack.bucket}", self._read, seen),
        )


def lifecycle_rules(stack: Stack) -> list[Rule]:
    """Return our rules, as we write them."""
    archive: Rule = {
        "ID": "postamt-archive",
        "Status": "Enabled",
        "Filter": {"Prefix": stack.prefix},
        "Transitions": [
            {"Days": INFREQUENT_AFTER_DAYS, "StorageClass": "STANDARD_IA"},
            {"Days": ARCHIVE_AFTER_DAYS, "StorageClass": "GLACIER_IR"},
        ],
    }
    sealing = _sealing(stack.seal) if stack.seal is not None else []
    if not stack.recent_prefix:
        return [archive, *sealing]
    recent: Rule = {
        "ID": RECENT,
        "Status": "Enabled",
        "Filter": {"Prefix": stack.recent_prefix},
        # With Days, S3 also removes the delete markers that this leaves in a versioned bucket.
        "Expiration": {"Days": RECENT_DAYS},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    return [archive, recent, *sealing]


def _sealing(stack: SealStack) -> list[Rule]:
    """Return the rules for sealing: a tagged object was sealed, so it expires, and some days later
    none of its versions is left.

    S3 counts from an object's creation, so a tagged one expires at the next run, whatever `Days`
    says. A rule with a tag cannot remove delete markers, so another one does.
    """
    key, value = SEALED_TAG
    return [
        {
            "ID": SEALED_AWAY,
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": stack.prefix, "Tags": [{"Key": key, "Value": value}]}},
            "Expiration": {"Days": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": stack.undo},
        },
        {
            "ID": MARKERS,
            "Status": "Enabled",
            "Filter": {"Prefix": stack.prefix},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
        {
            "ID": SEALED,
            "Status": "Enabled",
            "Filter": {"Prefix": stack.sealed_prefix},
            "Transitions": [{"Days": SEALED_ARCHIVE_AFTER_DAYS, "StorageClass": "GLACIER_IR"}],
        },
    ]


def _former(there: Mapping[Any, Rule], wanted: list[Rule]) -> Iterator[Rule]:
    """Yield the rules that must go on for a prefix that was ours before, under new ids: those that
    delete tagged objects. They affect nothing else, whatever the prefix is used for now."""
    for rule in wanted:
        before = there.get(rule["ID"])
        if rule["ID"] in _ENDING and before is not None and _prefix(before) != _prefix(rule):
            yield {**_with_filter(before), "ID": _former_id(before)}


def _former_id(rule: Rule) -> str:
    """Return the id under which one of our rules goes on once its prefix is no longer ours."""
    return f"{rule['ID']}-{hashlib.sha256(_prefix(rule).encode()).hexdigest()[:8]}"


def _is_of_sealing(rule: Rule) -> bool:
    own_id = str(rule.get("ID"))
    return own_id in SEALING or own_id in {_former_id({**rule, "ID": ending}) for ending in _ENDING}


def _left_behind(
    there: Mapping[Any, Rule], wanted: list[Rule], sealed_prefix: str
) -> Iterator[Note]:
    """Yield notes on what is left behind when our rules move to another prefix."""
    for rule in wanted:
        before = there.get(rule["ID"], rule)
        if _prefix(before) == _prefix(rule):
            continue
        place = printable(_prefix(before), 200)
        if rule["ID"] == SEALED_AWAY:
            yield Note(
                f"what is tagged below {place} still expires: its rule stays, as "
                f"{_former_id(before)}. What is not sealed there yet stays plain for good."
            )
        elif rule["ID"] == SEALED:
            yield _not_found(place, _prefix(rule))
        elif rule["ID"] == RECENT:
            yield Note(
                f"the second copies of mail below {place} no longer expire, and stay plain for "
                "good: delete them by hand."
            )
    if SEALED not in {rule["ID"] for rule in wanted} and SEALED in there and sealed_prefix:
        former = _prefix(there[SEALED])  # sealing is off, but sealed mail must still be found
        if former != sealed_prefix:
            yield _not_found(printable(former, 200), sealed_prefix)


def _not_found(former: str, sealed_prefix: str) -> Note:
    return Note(
        f"what is sealed below {former} stays there and is not found: move it below "
        f"{sealed_prefix}, or name {former} again as sealed_prefix."
    )


def _prefix(rule: Mapping[str, Any]) -> str:
    """Return a rule's prefix: it is in the filter, in the filter's And, or in the rule itself."""
    filter_ = rule.get("Filter", {})
    both = filter_.get("And", {})
    return str(both.get("Prefix") or filter_.get("Prefix") or rule.get("Prefix") or "")


def _with_filter(rule: Rule) -> Rule:
    """Return the rule with its prefix in a filter: S3 accepts no other form beside our rules."""
    if "Filter" in rule:
        return rule
    bare = {name: value for name, value in rule.items() if name != "Prefix"}
    return {**bare, "Filter": {"Prefix": _prefix(rule)}}


def _says_the_same(one: Rule | None, other: Rule) -> bool:
    """Compare two rules, ignoring empty and false members, which S3 adds or omits."""
    return one is not None and same(_plain(one), _plain(other))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        plain = {key: _plain(inner) for key, inner in value.items()}
        return {
            key: inner for key, inner in plain.items() if inner not in (None, False, "", [], {})
        }
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _deletes(rule: Rule, prefix: str) -> bool:
    """Whether someone else's rule deletes mail below the prefix."""
    expiration = rule.get("Expiration", {})
    if rule.get("Status") != "Enabled" or not ("Days" in expiration or "Date" in expiration):
        return False
    theirs = _prefix(rule)
    return theirs.startswith(prefix) or prefix.startswith(theirs)


def _words(rule: Mapping[str, Any]) -> str:
    """Describe a rule: "incoming/: STANDARD_IA after 30 days, GLACIER_IR after 90 days"."""
    deeds = [
        f"{move.get('StorageClass')} after {move.get('Days', '?')} days"
        for move in rule.get("Transitions", [])
    ]
    expiration = rule.get("Expiration", {})
    if expiration.get("ExpiredObjectDeleteMarker"):
        deeds.append("delete markers without versions are removed")
    elif expiration:
        deeds.append(f"expires after {expiration.get('Days', '?')} days")
    old = rule.get("NoncurrentVersionExpiration")
    if old:
        deeds.append(f"old versions after {old.get('NoncurrentDays', '?')}")
    if rule.get("Status") != "Enabled":
        deeds.append("off")
    tags = [tag.get("Key") for tag in rule.get("Filter", {}).get("And", {}).get("Tags", [])]
    place = f"{_prefix(rule) or 'everything'}{f', tagged {tags[0]}' if tags else ''}"
    return f"{place}: {', '.join(deeds) or 'nothing'}"
