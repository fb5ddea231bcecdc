"""boto3's sessions for tests: the models of the services are read once in a process.

Reading one takes longer than most tests; so do the 200 hooks of each new session.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import boto3
import botocore.session
from botocore.hooks import HierarchicalEmitter

from postamt_sync.aws.service_models import share_models
from tests.support.service_model import faults

REGION = "eu-west-1"


class WrongCallError(BaseException):
    """A call that AWS would not take, whatever an emulator does; nobody may take it for AWS's."""


def core_session() -> botocore.session.Session:
    """Return botocore's part, to be changed before `aws_session` takes it."""
    hooks = copy.copy(_botocores_own_hooks())
    core = botocore.session.Session(event_hooks=hooks, include_builtin_handlers=False)
    share_models(core)
    return core


@functools.cache
def _botocores_own_hooks() -> HierarchicalEmitter:
    hooks = HierarchicalEmitter()
    botocore.session.Session(event_hooks=hooks)
    return hooks


def hold_to_models(core: botocore.session.Session) -> None:
    """Raise WrongCallError for each call that the models of AWS's services do not take."""
    core.register("provide-client-params.*.*", _check)


def _check(params: dict[str, Any], model: Any, **_: Any) -> None:
    wrong = faults(model, params)
    if wrong:
        raise WrongCallError(f"{model.name}: {'; '.join(wrong)}")


def aws_session(
    access_key: str = "testing",
    secret_key: str = "testing",
    region: str | None = REGION,
    core: botocore.session.Session | None = None,
) -> boto3.Session:
    """Return a session with these credentials."""
    return boto3.Session(
        access_key, secret_key, region_name=region, botocore_session=core or core_session()
    )
