"""What the sealing function and the box may do for sealing: asserted, linted, and no deletion."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import replace
from typing import Any

import pytest

from postamt_sync.bootstrap.policies import sync_policy
from postamt_sync.bootstrap.seal_policies import seal_policy
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.bootstrap.webmail_policies import webmail_policy
from tests.bootstrap.test_policies_linted import findings
from tests.doubles.account import ACCOUNT, stack, with_webmail
from tests.doubles.moto import REGION

SEAL = SealStack("postamt", ACCOUNT, REGION, "mail-of-ours")
BUCKET, TABLE = "arn:aws:s3:::mail-of-ours", SEAL.table_arn


def holds(condition: dict[str, Any], keys: dict[str, Any]) -> bool:
    """Judge a statement's condition as IAM does, for the operators that ours use."""
    for operator, wanted in condition.items():
        for name, values in wanted.items():
            allowed = values if isinstance(values, list) else [values]
            asked = keys.get(name, [])
            if operator == "Null":
                if (name not in keys) != (values == "true"):
                    return False
                continue
            every = asked if isinstance(asked, list) else [asked]
            if not operator.startswith("ForAllValues:") and not every:
                return False
            match = fnmatch.fnmatchcase if "Like" in operator else str.__eq__
            if not all(any(match(one, each) for each in allowed) for one in every):
                return False
    return True


def may(policy: dict[str, Any], action: str, resource: str, **keys: Any) -> bool:
    named = {name.replace("__", ":").replace("_tag_", "/"): value for name, value in keys.items()}
    return any(
        action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
        and any(
            fnmatch.fnmatchcase(resource, one)
            for one in ([s["Resource"]] if isinstance(s["Resource"], str) else s["Resource"])
        )
        and holds(s.get("Condition", {}), named)
        for s in policy["Statement"]
    )


def tagging(*tags: str, value: str = "sealed") -> dict[str, Any]:
    return {
        "s3:RequestObjectTagKeys": list(tags),
        **{f"s3:RequestObjectTag/{tag}": value for tag in tags},
    }


def may_tag(resource: str, asked: dict[str, Any]) -> bool:
    return any(
        s["Action"] == "s3:PutObjectVersionTagging"
        and fnmatch.fnmatchcase(resource, s["Resource"])
        and holds(s["Condition"], asked)
        for s in seal_policy(SEAL)["Statement"]
    )


def may_with_key(policy: dict[str, Any], action: str, *ids: str) -> bool:
    return any(
        action == s["Action"]
        and s["Resource"] == TABLE
        and holds(s["Condition"], {"dynamodb:LeadingKeys": list(ids)})
        for s in policy["Statement"]
    )


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"{BUCKET}/incoming/a"),
        ("s3:GetObjectVersion", f"{BUCKET}/incoming/a"),
        ("s3:GetObjectVersionTagging", f"{BUCKET}/incoming/a"),
        ("s3:GetObject", f"{BUCKET}/sealed/a/b.pgp"),
        ("s3:ListBucket", BUCKET),
        ("s3:GetBucketVersioning", BUCKET),
        ("lambda:InvokeFunction", SEAL.index_function_arn),
        ("logs:PutLogEvents", f"{SEAL.log_group_arn}:log-stream:x"),
    ],
)
def test_what_it_does_it_may(action: str, resource: str) -> None:
    assert may(seal_policy(SEAL), action, resource)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:PutObject", f"{BUCKET}/incoming/a"),
        ("s3:PutObject", f"{BUCKET}/recent/a"),
        ("s3:PutObject", f"{BUCKET}/sealed/a/b.pgp"),
        ("s3:PutBucketVersioning", BUCKET),
        ("s3:GetObject", f"{BUCKET}/recent/a"),
        ("s3:GetObject", f"{BUCKET}/sent/anna/2026-11/a"),
        ("s3:DeleteObject", f"{BUCKET}/incoming/a"),
        ("s3:DeleteObjectVersion", f"{BUCKET}/sealed/a"),
        ("s3:PutObjectTagging", f"{BUCKET}/incoming/a"),
        ("s3:PutObjectVersionTagging", f"{BUCKET}/sealed/a"),
        ("s3:PutLifecycleConfiguration", BUCKET),
        ("lambda:InvokeFunction", SEAL.function_arn),
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:GetItem", stack().table_arn),
        ("dynamodb:UpdateItem", stack().table_arn),
    ],
)
def test_what_it_need_not_it_may_not(action: str, resource: str) -> None:
    assert not may(seal_policy(SEAL), action, resource)


ONCE = {"s3:if-none-match": "*"}


def test_it_stores_where_nothing_is_and_over_nothing() -> None:
    policy = seal_policy(SEAL)
    assert may(policy, "s3:PutObject", f"{BUCKET}/sealed/a/b.pgp", **ONCE)
    assert not may(policy, "s3:PutObject", f"{BUCKET}/sealed/a/b.pgp", **{"s3:if-match": "x"})
    assert not may(policy, "s3:PutObject", f"{BUCKET}/incoming/a", **ONCE)


def test_nor_does_the_webmail_store_over_what_was_sent() -> None:
    web = with_webmail(stack(bucket="mail-of-ours")).webmail
    assert web is not None
    policy = webmail_policy(web)
    assert may(policy, "s3:PutObject", f"{BUCKET}/sent/anna/2026-11/a", **ONCE)
    assert not may(policy, "s3:PutObject", f"{BUCKET}/sent/anna/2026-11/a")
    assert may(policy, "s3:PutObject", f"{BUCKET}/outbox/anna/a"), "a draft is written again"
    assert not may(policy, "s3:PutObject", f"{BUCKET}/incoming/a", **ONCE)


def test_nothing_in_it_deletes_or_is_for_everything() -> None:
    written = json.dumps(seal_policy(SEAL))
    assert "Delete" not in written
    assert '"*"' not in written
    assert ':*"' not in written.replace(f"{SEAL.log_group_arn}:*", "")


def test_it_tags_with_our_tag_alone() -> None:
    plain = f"{BUCKET}/incoming/a"
    assert may_tag(plain, tagging("postamt-seal"))
    assert not may_tag(plain, tagging("postamt-seal", value="other"))
    assert not may_tag(plain, tagging("postamt-seal", "mine"))
    assert not may_tag(plain, tagging("mine"))
    assert not may_tag(plain, {}), "an empty set of tags would take ours away"
    assert not may_tag(f"{BUCKET}/recent/a", tagging("postamt-seal"))


def test_it_lists_versions_of_plain_mail_alone() -> None:
    (statement,) = (s for s in seal_policy(SEAL)["Statement"] if s["Sid"] == "ListVersions")
    assert holds(statement["Condition"], {"s3:prefix": "incoming/"})
    assert not holds(statement["Condition"], {"s3:prefix": "sent/"})
    assert not holds(statement["Condition"], {})


def test_of_the_table_each_writes_its_own_item() -> None:
    sealer = seal_policy(SEAL)
    assert may_with_key(sealer, "dynamodb:GetItem", "watermark")
    assert may_with_key(sealer, "dynamodb:GetItem", f"proof#{'0' * 64}")
    assert may_with_key(sealer, "dynamodb:UpdateItem", "state")
    assert not may_with_key(sealer, "dynamodb:UpdateItem", "watermark")
    assert not may_with_key(sealer, "dynamodb:UpdateItem", f"proof#{'0' * 64}")
    box = sync_policy(replace(stack(), seal=SEAL))
    assert may_with_key(box, "dynamodb:UpdateItem", "watermark")
    for other in ("state", "proof#0", "watermarks"):
        assert not may_with_key(box, "dynamodb:UpdateItem", other)
    assert may_with_key(box, "dynamodb:GetItem", "state")
    assert may_with_key(box, "dynamodb:GetItem", "watermark")
    assert not may_with_key(box, "dynamodb:GetItem", "proof#0")


def test_the_box_reads_sealed_mail_and_puts_none() -> None:
    wanted = replace(stack(bucket="mail-of-ours"), sealed_prefix="sealed/")
    for policy in (sync_policy(wanted), sync_policy(replace(wanted, seal=SEAL))):
        assert may(policy, "s3:GetObject", f"{BUCKET}/sealed/a")
        assert not may(policy, "s3:PutObject", f"{BUCKET}/sealed/a")
        (listing,) = (s for s in policy["Statement"] if s["Sid"] == "ListMail")
        assert "sealed/*" in listing["Condition"]["StringLike"]["s3:prefix"]
    assert "sealed/" not in json.dumps(sync_policy(stack()))
    assert "dynamodb:UpdateItem" not in json.dumps(sync_policy(wanted)), "off, it writes nothing"


def test_where_the_index_is_to_keep_its_words_it_is_not_asked() -> None:
    kept = seal_policy(replace(SEAL, strip=False))
    assert not may(kept, "lambda:InvokeFunction", SEAL.index_function_arn)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["function", "box"])
def test_the_linter_finds_nothing(policy: str) -> None:
    box = sync_policy(replace(stack(), sealed_prefix="sealed/", seal=SEAL))
    assert findings(seal_policy(SEAL) if policy == "function" else box) == []
