"""The receipt rule, in whatever rule set is active.

An account has one active rule set. If it is not ours, our rule is added to it; the set is never
replaced, deactivated or deleted (SES Developer Guide, "Receipt rules").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, Note, PlanItem, call
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.rule_position import LAST, Position, swallowing
from postamt_sync.bootstrap.stack import RULE_SET, Stack
from postamt_sync.events import printable

MOST_RULES = 200
MOST_RECIPIENTS = 100
NOT_YET = (
    "InvalidS3Configuration",
    "InvalidS3ConfigurationException",
    "InvalidSnsTopic",
    "InvalidSnsTopicException",
)
"""Errors while the policies of bucket or topic, which SES tests, are not in effect yet."""

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReceiptRuleResource:
    """The rule set, our rule, and its position: None leaves it where it is, or puts it last."""

    stack: Stack
    aws: AwsClient
    position: Position | None = None

    @property
    def title(self) -> str:
        return f"receipt rule {self.stack.rule}"

    def plan(self) -> Iterator[PlanItem]:
        active, rules = self._active()
        if len(self._rule["Recipients"]) > MOST_RECIPIENTS:
            yield Conflict(
                f"a rule has {MOST_RECIPIENTS} domains at most.", "Divide them between two stacks."
            )
            return
        if active is None:
            yield from self._make_rule_set()
            return
        yield from self._make_rule(active, rules)

    def destroy(self) -> Iterator[PlanItem]:
        active, rules = self._active()
        if active is not None and active != RULE_SET:
            yield from self._take_out(active, rules)
            yield Note(f"rule set {printable(active, 64)} is not ours: it stays active as it is")
        # Ours may exist without being active: someone chose another, or a run was interrupted.
        held = self._rule_set()
        if held is None:
            return
        yield from self._take_out(RULE_SET, held)
        if any(rule["Name"] != self.stack.rule for rule in held):
            yield Note(f"rule set {RULE_SET} stays: others have rules in it")
            return
        calls = [call("ses", "delete_receipt_rule_set", RuleSetName=RULE_SET)]
        if active == RULE_SET:
            calls.insert(0, call("ses", "set_active_receipt_rule_set"))
        yield Change(f"rule set {RULE_SET}, now empty: delete", calls)

    def is_active(self) -> bool:
        """Whether our rule is enabled in the active rule set."""
        _, rules = self._active()
        return any(r["Name"] == self.stack.rule and r.get("Enabled") for r in rules)

    def _make_rule_set(self) -> Iterator[PlanItem]:
        held = self._rule_set()
        if held is None:
            made = call("ses", "create_receipt_rule_set", RuleSetName=RULE_SET)
            yield Change(f"rule set {RULE_SET}: create", [made])
        yield from self._make_rule(RULE_SET, held or [])
        activate = call("ses", "set_active_receipt_rule_set", RuleSetName=RULE_SET)
        yield Change(f"rule set {RULE_SET}: activate", [activate])

    def _make_rule(self, rule_set: str, rules: list[Rule]) -> Iterator[PlanItem]:
        ours = next((rule for rule in rules if rule["Name"] == self.stack.rule), None)
        if ours is None:
            yield from self._join(rule_set, rules)
            return
        wanted = _with_keys_of(ours, self._rule) if self.stack.kms else self._rule
        if not same(_plain(ours), _plain(wanted)):
            put = call("ses", "update_receipt_rule", RuleSetName=rule_set, Rule=wanted)
            yield Change(_differences(ours, wanted), [self._patient(put)])
        yield from self._position(rule_set, rules)

    def _take_out(self, rule_set: str, rules: list[Rule]) -> Iterator[PlanItem]:
        if any(rule["Name"] == self.stack.rule for rule in rules):
            delete = call(
                "ses", "delete_receipt_rule", RuleSetName=rule_set, RuleName=self.stack.rule
            )
            yield Change(f"take out of rule set {printable(rule_set, 64)}", [delete])

    def _join(self, active: str, rules: list[Rule]) -> Iterator[PlanItem]:
        if len(rules) >= MOST_RULES:
            yield Conflict(
                f"rule set {printable(active, 64)} has {MOST_RULES} rules, the most SES allows.",
                "Remove one that is no longer needed.",
            )
            return
        position = self.position or LAST
        unknown = position.unknown_among(rules)
        if unknown is not None:
            yield unknown
            return
        conflict = swallowing(position.before(rules), self._rule["Recipients"])
        if conflict is not None:
            yield conflict
            return
        where = f"in rule set {printable(active, 64)}, {position}"
        yield Change(f"create {where}", [self._create(active, rules, position)])

    def _position(self, active: str, rules: list[Rule]) -> Iterator[PlanItem]:
        names = [rule["Name"] for rule in rules]
        others = [rule for rule in rules if rule["Name"] != self.stack.rule]
        before = others[: names.index(self.stack.rule)]
        if self.position is not None:
            unknown = self.position.unknown_among(others)
            if unknown is not None:
                yield unknown
                return
            wanted = self.position.before(others)
            if wanted != before:
                after = {"After": wanted[-1]["Name"]} if wanted else {}
                move = call(
                    "ses",
                    "set_receipt_rule_position",
                    RuleSetName=active,
                    RuleName=self.stack.rule,
                    **after,
                )
                yield Change(f"position: {self.position}", [move])
            before = wanted
        conflict = swallowing(before, self._rule["Recipients"])
        if conflict is not None:
            yield conflict

    def _active(self) -> tuple[str | None, list[Rule]]:
        answer = self.aws.read("ses", "describe_active_receipt_rule_set") or {}
        name = answer.get("Metadata", {}).get("Name")
        return name, list(answer.get("Rules", []))

    def _rule_set(self) -> list[Rule] | None:
        """Return the rules in our own rule set, active or not; None if it does not exist."""
        held = self.aws.read(
            "ses",
            "describe_receipt_rule_set",
            missing=("RuleSetDoesNotExist", "RuleSetDoesNotExistException"),
            RuleSetName=RULE_SET,
        )
        return None if held is None else list(held.get("Rules", []))

    @property
    def _rule(self) -> Rule:
        """Our rule, with every value named: SES's defaults are disabled, unscanned, without TLS."""
        stack = self.stack
        archive = {
            "BucketName": stack.bucket,
            "ObjectKeyPrefix": stack.prefix,
            "TopicArn": stack.topic_arn,
        }
        actions = [{"S3Action": archive}]
        if stack.recent_prefix:
            recent = {"BucketName": stack.bucket, "ObjectKeyPrefix": stack.recent_prefix}
            actions.append({"S3Action": recent})
        return {
            "Name": stack.rule,
            "Enabled": True,
            "TlsPolicy": "Require" if stack.tls_policy == "require" else "Optional",
            "Recipients": [*stack.domains, *(f".{domain}" for domain in stack.subdomains)],
            "Actions": actions,
            "ScanEnabled": True,
        }

    def _create(self, rule_set: str, rules: list[Rule], position: Position) -> Call:
        before = position.before(rules)
        # Without After, SES inserts a new rule first.
        after = {"After": before[-1]["Name"]} if before else {}
        return self._patient(
            call("ses", "create_receipt_rule", RuleSetName=rule_set, Rule=self._rule, **after)
        )

    def _patient(self, plain: Call) -> Call:
        return Call(plain.service, plain.operation, plain.parameters, retry_on=NOT_YET)


def _with_keys_of(actual: Mapping[str, Any], wanted: Rule) -> Rule:
    """Return the rule with the KMS keys that the owner set: those are not ours to choose."""
    given = [action.get("S3Action", {}) for action in actual.get("Actions", [])]
    keys = {a.get("ObjectKeyPrefix", ""): a["KmsKeyArn"] for a in given if a.get("KmsKeyArn")}
    actions = []
    for one in wanted["Actions"]:
        key = keys.get(one["S3Action"]["ObjectKeyPrefix"])
        actions.append({"S3Action": {**one["S3Action"], **({"KmsKeyArn": key} if key else {})}})
    return {**wanted, "Actions": actions}


def _plain(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule without the empty members that SES adds."""
    kept = {k: v for k, v in rule.items() if v not in (None, [], "")}
    kept["Actions"] = [
        {kind: {k: v for k, v in action.items() if v} for kind, action in one.items()}
        for one in rule.get("Actions", [])
    ]
    # The order of actions matters: the copy for the poll comes after the mail itself.
    kept["Actions"] = {str(number): action for number, action in enumerate(kept["Actions"])}
    return kept


def _differences(actual: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Describe the differences between two rules."""
    message = []
    names = {"Enabled": "enabled", "TlsPolicy": "TLS", "ScanEnabled": "scanning"}
    for name, word in names.items():
        if actual.get(name) != wanted[name]:
            message.append(f"{word}: {actual.get(name)} → {wanted[name]}")
    if not same(actual.get("Recipients", []), wanted["Recipients"]):
        was = ", ".join(actual.get("Recipients", [])) or "everyone"
        message.append(f"recipients: {printable(was, 200)} → {', '.join(wanted['Recipients'])}")
    if not same(_plain(actual)["Actions"], _plain(wanted)["Actions"]):
        message.append("actions: was changed, restore it")
    return "; ".join(message)
