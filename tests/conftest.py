from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.doubles.account import Account
from tests.doubles.moto import Moto, moto

# How long an example takes says how busy the machine is, and nothing about us.
settings.register_profile(
    "untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


TESTS = Path(__file__).parent
ONE_BOOT = "under_systemd.py::"
"""What names a test that shares a booted container with others of its module."""

ROOMS_OF_PROCESSES = {"end_to_end", "faults", "demo"}
EMULATORS = {"emulator", "own_account", "account", "cloud", "moto", "enforced", "denied"}
"""What fixtures are called that start moto."""
LONGEST = {
    *("test_any_order", "test_arm64", "test_campaign", "test_hanging_disk", "test_odd_answers"),
    *("test_readme", "test_webmail"),
}
"""Modules with tests of a minute, which come first: begun last, they would be waited for alone."""


class ByContainer(LoadScopeScheduling):
    """Gives every test to the next free process, but all that share a container to one."""

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Forget what is done; else all that a process was ever given is counted at every test."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]

    def _split_scope(self, nodeid: str) -> str:
        if ONE_BOOT not in nodeid:
            return nodeid
        module, _, test = nodeid.partition("::")
        suite = "bookworm" if "[bookworm" in test else "trixie"
        return f"{module} on {suite}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByContainer:
    return ByContainer(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for garbage neither while tests are collected nor, later, among what was collected.

    Nothing of it goes before the end, and it is a million objects: to close a ledger, which looks
    through all objects, would cost ten times what it does in a daemon.
    """
    gc.disable()
    yield
    # Among what is frozen Hypothesis no longer finds who holds its source of chance, and warns.
    settings(max_examples=1, database=None)(given(st.none())(lambda _: None))()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Nor among what a module leaves: what it imported, and AWS's descriptions that it read.

    What it has left open is its own error: a fixture ends before pytest asks for such warnings, and
    whatever is told later is laid to the next module.
    """
    yield
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what starts processes; single tests that are slow say so themselves."""
    for item in items:
        room = item.path.relative_to(TESTS).parts[0]
        if room in ROOMS_OF_PROCESSES or EMULATORS.intersection(_fixtures(item)):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A directory on a real read-only file system."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    place = tmp_path / "read-only"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Moto]:
    """moto, of which every test takes names of its own."""
    with moto() as running:
        yield running


@pytest.fixture(scope="module")
def cloud() -> Iterator[Moto]:
    """moto for one module alone."""
    with moto() as running:
        yield running


@pytest.fixture(scope="session")
def own_account() -> Iterator[Account]:
    """moto for tests that empty it: an account has one active rule set."""
    with moto() as running:
        yield Account(running)


@pytest.fixture
def account(own_account: Account, tmp_path: Path) -> Account:
    """Return an empty account."""
    return own_account.begin(tmp_path / "keys")
