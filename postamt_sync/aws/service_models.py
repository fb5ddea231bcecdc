"""What botocore knows of AWS's services, read once in a process, whichever session asks.

Reading a service's description takes longer than making its client, on a Raspberry Pi a second; and
each session of botocore would read it again. What people are told in it is left out, which is
most of it.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
from botocore.loaders import JSONFileLoader, Loader, create_loader

_FOR_PEOPLE = "documentation"


class _ForMachines(JSONFileLoader):
    def _load_file(self, full_path: str, open_method: Callable[..., Any]) -> Any:
        if not Path(full_path).is_file():
            return None
        with open_method(full_path, "rb") as file:
            return json.loads(file.read(), object_hook=_for_machines)


def _for_machines(table: dict[str, Any]) -> dict[str, Any]:
    """Empty a text for people, which has to be there; a member of that name is no text."""
    if isinstance(table.get(_FOR_PEOPLE), str):
        table[_FOR_PEOPLE] = ""
    return table


class _Models(Loader):
    FILE_LOADER_CLASS = _ForMachines

    @property
    def search_paths(self) -> list[str]:
        """Return a copy: each of boto3's sessions would add its own directory once more."""
        return [*super().search_paths, *_boto3s()]


def share_models(session: botocore.session.Session) -> None:
    """Let a new session read no description that another one of this process has read."""
    session.lazy_register_component(  # not before it is known which files configure it
        "data_loader", lambda: _models(session.get_config_variable("data_path"))
    )


def forget_models() -> None:
    """Let go of what was read: some megabytes. Whoever makes another client reads it again."""
    for loader in _loaders:
        loader._cache.clear()  # type: ignore[attr-defined]  # noqa: SLF001  (no public way)


_loaders: list[Loader] = []


@functools.cache
def _models(data_path: str | None) -> Loader:
    """Those of one `data_path`, which a person may have configured for boto3."""
    paths = create_loader(data_path).search_paths
    loader = _Models(paths, include_default_search_paths=False)
    _loaders.append(loader)
    return loader


@functools.cache
def _boto3s() -> tuple[str, ...]:
    """Where boto3 has descriptions of its own; it need not be loaded for that."""
    found = importlib.util.find_spec("boto3")
    return (str(Path(found.origin).parent / "data"),) if found and found.origin else ()
