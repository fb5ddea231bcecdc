"""botocore's service models, read once in a process for all sessions, without documentation.

Reading a model takes longer than creating a client, a second on a Raspberry Pi, and each botocore
session would read it again. Most of a model is documentation for people.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import DataNotFoundError, UnknownServiceError
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

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Name whatever has a model, of this type or not.

        botocore asks this before it loads one, and looks for the type in the directories of all 400
        services: 40 ms a client, and as many reads of an SD card.
        """
        found: set[str] = set()
        for path in self.search_paths:
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as there:
                found.update(entry.name for entry in there if entry.is_dir())
        return sorted(found)

    def determine_latest_version(self, service_name: str, type_name: str) -> str:
        """Find what is to be loaded; whether the service has that type is seen only here."""
        try:
            return super().determine_latest_version(service_name, type_name)
        except DataNotFoundError as error:
            known = ", ".join(self.list_available_services(type_name))
            raise UnknownServiceError(
                service_name=service_name, known_service_names=known
            ) from error


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
