"""boto3's sessions for tests: the models of the services are read once in a process.

Reading one takes longer than most tests.
"""

from __future__ import annotations

import boto3
import botocore.session

from postamt_sync.aws.service_models import share_models

REGION = "eu-west-1"


def core_session() -> botocore.session.Session:
    """Return botocore's part, to be changed before `aws_session` takes it."""
    core = botocore.session.Session()
    share_models(core)
    return core


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
