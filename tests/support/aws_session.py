"""boto3's sessions for tests: the models of the services are read once in a process.

Reading one takes longer than most tests.
"""

from __future__ import annotations

import functools
from pathlib import Path

import boto3
import botocore.session
from botocore.loaders import Loader

REGION = "eu-west-1"


class _Models(Loader):  # type: ignore[misc]  # botocore has no types
    @property
    def search_paths(self) -> list[str]:
        """Return a copy: each session of boto3 would add its directory once more."""
        return list(self._search_paths)


@functools.cache
def _models() -> Loader:
    return _Models(extra_search_paths=[str(Path(boto3.__file__).parent / "data")])


def core_session() -> botocore.session.Session:
    """Return botocore's part, to be changed before `aws_session` takes it."""
    core = botocore.session.Session()
    core.register_component("data_loader", _models())
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
