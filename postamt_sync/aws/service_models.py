"""What botocore knows of AWS's services, read once in a process, whichever session asks.

Reading a service's description takes longer than making its client, on a Raspberry Pi a second; and
each session of botocore would read it again.
"""

from __future__ import annotations

import functools
from pathlib import Path

import boto3
import botocore.session
from botocore.loaders import Loader, create_loader

_BOTO3S = Path(boto3.__file__).parent / "data"


class _Models(Loader):
    @property
    def search_paths(self) -> list[str]:
        """Return a copy: each of boto3's sessions would add its own directory once more."""
        return [*super().search_paths, str(_BOTO3S)]


def share_models(session: botocore.session.Session) -> None:
    """Let a new session read no description that another one of this process has read."""
    session.lazy_register_component(  # not before it is known which files configure it
        "data_loader", lambda: _models(session.get_config_variable("data_path"))
    )


@functools.cache
def _models(data_path: str | None) -> Loader:
    """Those of one `data_path`, which a person may have configured for boto3."""
    return _Models(create_loader(data_path).search_paths, include_default_search_paths=False)
