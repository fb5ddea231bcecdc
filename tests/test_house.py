"""Who may know whom: the rooms of the house, read from their imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "postamt_sync"


def imports(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


DATA_PLANE = ("intake", "delivery", "ledger", "bucket")
CONTROL_PLANE = ("typer", "tenacity", "dns", "rich.progress", "rich.table")
DEMO_AND_TESTS = ("moto", "flask", "werkzeug", "pytest")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "strangers"),
    [
        ("intake", "delivery"),  # they meet in the ledger
        ("delivery", "intake"),
        ("ledger", "intake"),
        ("ledger", "delivery"),
        ("ledger", "bucket"),
        ("bucket", "ledger"),
        ("bucket", "delivery"),
        *(("http", room) for room in ("intake", "admin", "ledger", "delivery")),
        ("config", "ledger"),
        ("config", "delivery"),
        *(
            (room, "bootstrap")
            for room in ("intake", "delivery", "ledger", "bucket", "admin", "alerts")
        ),
        *((room, "home") for room in ("intake", "delivery", "ledger", "bucket", "admin", "alerts")),
        *(
            ("bootstrap", room)
            for room in ("intake", "delivery", "ledger", "bucket", "home", "daemon")
        ),
    ],
)
def test_these_rooms_do_not_know_each_other(room: str, strangers: str) -> None:
    for module in (PACKAGE / room).rglob("*.py"):
        known = {name for name in imports(module) if name.startswith(f"postamt_sync.{strangers}")}
        assert not known, module


@pytest.mark.parametrize("above", ["cli", "demo"])
def test_nothing_below_knows_the_command_line_or_the_demo(above: str) -> None:
    for module in PACKAGE.rglob("*.py"):
        if module.relative_to(PACKAGE).parts[0] in {"cli", "demo", "__main__.py"}:
            continue
        assert not {n for n in imports(module) if n.startswith(f"postamt_sync.{above}")}, module


@pytest.mark.slow
def test_the_daemon_loads_nothing_of_the_demo_or_the_command_line() -> None:
    """Memory and start time count on a small machine."""
    listing = "import sys, postamt_sync.app.daemon; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", listing],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for heavy in (*CONTROL_PLANE, *DEMO_AND_TESTS):
        assert heavy not in loaded, heavy


@pytest.mark.slow
def test_no_test_patches_what_it_could_pass_in() -> None:
    for module in (PACKAGE.parent / "tests").rglob("*.py"):
        assert not {name for name in imports(module) if name.startswith("unittest")}, module
