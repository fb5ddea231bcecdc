"""A function of ours: does it run when it is invoked?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.invocation import Invocation
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.doctor.account import APPLY, AwsAccount
from postamt_sync.doctor.finding import STACK, Finding, Severity


@dataclass(frozen=True, slots=True)
class InvocationCheck:
    """Settings that are as planned do not tell whether Lambda can start it; only a call does.

    It is the index function, unless `subject` and `trial` name another.
    """

    account: AwsAccount
    remedy: str = APPLY
    subject: str = "index function"
    trial: Callable[[Stack, AwsClient], Invocation] = Invocation

    def look(self) -> Iterable[Finding]:
        trial = self.trial(*self.account.open())
        trouble = trial.trouble()
        if trouble is None:
            yield Finding(self.subject, Severity.OK, f"The {self.subject} was invoked, and ran.")
            return
        function, region, remedy = trial.stack.function, trial.stack.region, self.remedy
        if trouble.grant:
            delete = f"aws lambda delete-function --function-name {function}"
            remedy = f"{remedy.rstrip('.')}; if it stays, first: {delete} --region {region}"
        elif not trouble.settings:
            remedy = f"See its log: aws logs tail {trial.stack.log_group} --region {region}"
        words = f"{function}: {trouble.words}"
        yield Finding(self.subject, Severity.FAILURE, words, remedy, STACK, follows=True)
