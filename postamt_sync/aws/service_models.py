"""botocore's service models, read once in a process for all sessions, without documentation.

Reading a model takes longer than creating a client, a second on a Raspberry Pi, and each botocore
session would read it again. Most of a model is documentation for people.
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
    """Empty the documentation, which must be present; a member of that name may be something
    else."""
    if isinstance(table.get(_FOR_PEOPLE), str):
        table[_FOR_PEOPLE] = ""
    return table


class _Models(Loader):
    FILE_LOADER_CLASS = _ForMachines

    @property
    def search_paths(self) -> list[str]:
        """A copy, because each boto3 session would append its own directory once more."""
        return [*super().search_paths, *_boto3s()]


def share_models(session: botocore.session.Session) -> None:
    """Let a new session use the models that other sessions of this process have read."""
    session.lazy_register_component(  # only once its configuration files are known
        "data_loader", lambda: _models(session.get_config_variable("data_path"))
    )


def forget_models() -> None:
    """Free the models that were read, some megabytes. The next client has to read its own again."""
    for loader in _loaders:
        loader._cache.clear()  # type: ignore[attr-defined]  # noqa: SLF001  (no public way)


_loaders: list[Loader] = []


@functools.cache
def _models(data_path: str | None) -> Loader:
    """Return the loader for one `data_path`, which a person may have configured for boto3."""
    paths = create_loader(data_path).search_paths
    loader = _Models(paths, include_default_search_paths=False)
    _loaders.append(loader)
    return loader


@functools.cache
def _boto3s() -> tuple[str, ...]:
    """Return where boto3 has models of its own, without importing it."""
    found = importlib.util.find_spec("boto3")
    return (str(Path(found.origin).parent / "data"),) if found and found.origin else ()
