"""SES's receipt rules: what the emulator lacks, including SES's trial write to the bucket."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.s3.models import s3_backends
from moto.ses.exceptions import (
    AlreadyExists,
    InvalidS3ConfigurationException,
    RuleDoesNotExist,
)
from moto.ses.models import SESBackend
from moto.ses.responses import EmailResponse
from moto.ses.urls import url_paths

from postamt_sync.demo.gaps.service_answers import answer_by

_ORIGINAL_CREATE_RULE = SESBackend.create_receipt_rule


class RuleAnswers(EmailResponse):  # type: ignore[misc]
    """Moves and deletes receipt rules."""

    def set_receipt_rule_position(self) -> ActionResult:
        backend = self.backend
        rules = backend.describe_receipt_rule_set(self._get_param("RuleSetName")).rules
        name, after = self._get_param("RuleName"), self._get_param("After")
        names = [rule["Name"] for rule in rules]
        if name not in names or (after and after not in names):
            raise RuleDoesNotExist(f"Rule does not exist: {after or name}")
        moved = rules.pop(names.index(name))
        names.remove(name)
        rules.insert(names.index(after) + 1 if after else 0, moved)
        return EmptyResult()

    def delete_receipt_rule(self) -> ActionResult:
        rules = self.backend.describe_receipt_rule_set(self._get_param("RuleSetName")).rules
        rules[:] = [rule for rule in rules if rule["Name"] != self._get_param("RuleName")]
        return EmptyResult()


def install() -> None:
    """Let rules be moved and deleted, and refuse those whose bucket SES could not write to."""
    SESBackend.create_receipt_rule = _create_receipt_rule
    answer_by(RuleAnswers, url_paths)


def _create_receipt_rule(
    backend: SESBackend, rule_set_name: str, rule: dict[str, Any], after: str | None
) -> None:
    rule_set = backend.receipt_rule_set.get(rule_set_name)
    if rule_set is not None and any(r["Name"] == rule["Name"] for r in rule_set.rules):
        raise AlreadyExists(f"Rule already exists: {rule['Name']}")
    arn = (
        f"arn:aws:ses:{backend.region_name}:{backend.account_id}:"
        f"receipt-rule-set/{rule_set_name}:receipt-rule/{rule['Name']}"
    )
    for action in rule.get("Actions", []):
        if "S3Action" in action:
            _try_bucket(backend.account_id, action["S3Action"], arn)
    _ORIGINAL_CREATE_RULE(backend, rule_set_name, rule, after)


def _try_bucket(account: str, action: dict[str, Any], rule_arn: str) -> None:
    """Refuse as SES does if its trial write fails; a bucket without a policy is open to nobody."""
    name, prefix = action["BucketName"], action.get("ObjectKeyPrefix", "")
    refusal = InvalidS3ConfigurationException(f"Could not write to bucket: {name}")
    backend = s3_backends[account]["aws"]
    if name not in backend.buckets:
        raise refusal
    held = backend.buckets[name].policy
    document = json.loads(held) if held else {"Statement": []}
    target = f"arn:aws:s3:::{name}/{prefix}AMAZON_SES_SETUP_NOTIFICATION"
    if not any(_lets_ses_put(s, target, account, rule_arn) for s in document["Statement"]):
        raise refusal
    backend.put_object(name, f"{prefix}AMAZON_SES_SETUP_NOTIFICATION", b"SES tries the bucket.\n")


def _lets_ses_put(statement: dict[str, Any], target: str, account: str, rule_arn: str) -> bool:
    if statement["Effect"] != "Allow":
        return False
    if statement.get("Principal") != {"Service": "ses.amazonaws.com"}:
        return False
    if "s3:PutObject" not in _list(statement["Action"]):
        return False
    if not any(fnmatch.fnmatchcase(target, r) for r in _list(statement["Resource"])):
        return False
    conditions = statement.get("Condition", {})
    accounts = _list(conditions.get("StringEquals", {}).get("aws:SourceAccount", account))
    sources = _list(conditions.get("ArnLike", {}).get("aws:SourceArn", rule_arn))
    return account in accounts and any(fnmatch.fnmatchcase(rule_arn, s) for s in sources)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
