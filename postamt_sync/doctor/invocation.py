"""The index function: does it run when it is invoked?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from postamt_sync.bootstrap.invocation import Invocation
from postamt_sync.doctor.account import APPLY, AwsAccount
from postamt_sync.doctor.check import STACK, Finding, Severity


@dataclass(frozen=True, slots=True)
class InvocationCheck:
    """Settings that are as planned do not tell whether Lambda can start it; only a call does."""

    account: AwsAccount
    mend: str = APPLY

    @property
    def subject(self) -> str:
        return "index function"

    def look(self) -> Iterable[Finding]:
        stack, aws = self.account.open()
        trial = Invocation(stack, aws)
        yield invocation_finding(self.subject, trial, stack.function, stack.log_group, self.mend)


def invocation_finding(
    subject: str, trial: Invocation, function: str, log_group: str, mend: str
) -> Finding:
    """Invoke a function and say how that went."""
    trouble = trial.trouble()
    if trouble is None:
        return Finding(subject, Severity.OK, f"The {subject} was invoked, and ran.")
    region, remedy = trial.stack.region, mend
    if trouble.grant:
        delete = f"aws lambda delete-function --function-name {function}"
        remedy = f"{remedy.rstrip('.')}; if it stays, first: {delete} --region {region}"
    elif not trouble.settings:
        remedy = f"See its log: aws logs tail {log_group} --region {region}"
    words = f"{function}: {trouble.words}"
    return Finding(subject, Severity.FAILURE, words, remedy, STACK, follows=True)
