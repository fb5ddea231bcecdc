"""The package `mail` is pure: the Lambda ships it as it stands, with nothing installed."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import postamt_sync.mail

PACKAGE = "postamt_sync.mail"
FORBIDDEN = {"asyncio", "io", "os", "pathlib", "socket", "sqlite3", "subprocess", "urllib.request"}
MODULES = sorted(path for place in postamt_sync.mail.__path__ for path in Path(place).rglob("*.py"))


def imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def foreign(names: set[str]) -> set[str]:
    """Those of `names` that are neither of the package nor a pure part of the standard library."""
    return {
        name
        for name in names
        if name in FORBIDDEN
        or (
            name.partition(".")[0] not in sys.stdlib_module_names
            and not f"{name}.".startswith(f"{PACKAGE}.")
        )
    }


def test_there_are_modules_to_look_at() -> None:
    assert {path.stem for path in MODULES} >= {
        "arrival",
        "headers",
        "notification",
        "routing",
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_only_pure_standard_library_is_imported(module: Path) -> None:
    assert foreign(imported(module.read_text("utf-8"))) == set()


@pytest.mark.parametrize(
    "line",
    [
        "import boto3",
        "import os",
        "import postamt_sync.errors",
        "from postamt_sync import errors",
        "from . import x",
        "from postamt_sync.mailer import x",
        "def f():\n    import idna.core",
    ],
)
def test_the_look_finds_what_is_foreign(line: str) -> None:
    assert foreign(imported(line))
