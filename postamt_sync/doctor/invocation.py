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
        trouble = Invocation(stack, aws).trouble()
        if trouble is None:
            yield Finding(self.subject, Severity.OK, "The index function was invoked, and ran.")
            return
        remedy = self.mend
        if trouble.grant:
            delete = f"aws lambda delete-function --function-name {stack.function}"
            remedy = f"{remedy.rstrip('.')}; if it stays, first: {delete} --region {stack.region}"
        elif not trouble.settings:
            remedy = f"See its log: aws logs tail {stack.log_group} --region {stack.region}"
        words = f"{stack.function}: {trouble.words}"
        yield Finding(self.subject, Severity.FAILURE, words, remedy, STACK, follows=True)
