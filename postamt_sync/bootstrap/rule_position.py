"""The position of our receipt rule among others, and which rule before it would take our mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.change import Conflict
from postamt_sync.errors import UsageError
from postamt_sync.events import printable

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """First, last, or after the named rule."""

    after: str = ""
    is_first: bool = False

    def __str__(self) -> str:
        if self.is_first:
            return "first"
        return f"after rule {printable(self.after, 64)}" if self.after else "last"

    def before(self, others: Sequence[Rule]) -> list[Rule]:
        """Return the rules that come before ours in this position."""
        if self.is_first:
            return []
        if not self.after:
            return list(others)
        names = [rule["Name"] for rule in others]
        return list(others[: names.index(self.after) + 1])

    def unknown_among(self, rules: Sequence[Rule]) -> Conflict | None:
        """Return a conflict if the named rule does not exist."""
        names = [rule["Name"] for rule in rules]
        if not self.after or self.after in names:
            return None
        return Conflict(
            f"there is no rule {printable(self.after, 64)} to stand after.",
            f"The rules are: {printable(', '.join(names), 300) or 'none'}.",
        )


FIRST = Position(is_first=True)
LAST = Position()


def read_position(text: str) -> Position:
    """Parse `first`, `last` or `after:RULE`. Raises UsageError."""
    if text == "first":
        return FIRST
    if text == "last":
        return LAST
    word, _, rule = text.partition(":")
    if word == "after" and rule:
        return Position(after=rule)
    raise UsageError(f"{printable(text, 80)} is not a position.", "Use first, last or after:RULE.")


def swallowing(before: Sequence[Rule], recipients: Sequence[str]) -> Conflict | None:
    """Return a conflict for the first rule before ours that would keep mail from us; None if all
    is well."""
    for rule in before:
        deed = _deed(rule)
        if rule.get("Enabled") and deed and _meet(rule.get("Recipients", []), recipients):
            return Conflict(
                f"rule {printable(rule['Name'], 64)} comes before ours and {deed}: our mail would "
                "never come to us.",
                "Put ours before it with --position first, or change that rule.",
            )
    return None


def _deed(rule: Rule) -> str:
    """Describe how a rule keeps mail from the rules after it; "" if it lets mail pass."""
    for action in rule.get("Actions", []):
        if "StopAction" in action:
            return "stops all mail (Stop)"
        if "BounceAction" in action:
            return "sends mail back (Bounce)"
        if "WorkmailAction" in action:
            return "takes mail to WorkMail"
        function = action.get("LambdaAction", {})
        if function.get("InvocationType") == "RequestResponse":
            return "asks a Lambda function that may stop mail"
    return ""


def _meet(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether a mail could match both lists; an empty one matches everything."""
    if not theirs or not ours:
        return True
    return any(_overlap(one.lower(), other.lower()) for one in theirs for other in ours)


def _overlap(one: str, other: str) -> bool:
    one_domain, other_domain = one.rpartition("@")[2], other.rpartition("@")[2]
    if one_domain.startswith(".") and other_domain.startswith("."):
        return one_domain.endswith(other_domain) or other_domain.endswith(one_domain)
    if one_domain.startswith("."):
        return other_domain.endswith(one_domain)
    if other_domain.startswith("."):
        return one_domain.endswith(other_domain)
    return one_domain == other_domain
