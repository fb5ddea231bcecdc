from __future__ import annotations

import contextlib
import functools
import gc
import importlib
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
# What `tests/run` and `tests/run --quick` are content with; `.ci/run` draws a hundred.
settings.register_profile("part", settings.get_profile("untimed"), max_examples=30)
settings.register_profile("quick", settings.get_profile("untimed"), max_examples=20)


TESTS = Path(__file__).parent

ROOMS_OF_PROCESSES = {"end_to_end", "faults", "demo"}
EMULATORS = {"emulator", "own_account", "account", "cloud", "moto", "enforced", "denied"}
"""What fixtures are called that start moto."""
LONGEST = {
    *("test_any_order", "test_arm64", "test_campaign", "test_hanging_disk", "test_odd_answers"),
    *("test_debian_package", "test_join", "test_readme", "test_under_systemd"),
}
"""Modules with tests of a minute, which come first: begun last, they would be waited for alone."""


class ByWhatIsShared(LoadScopeScheduling):
    """Gives a module to the next free process, for what its tests share is made once in each.

    Where tests share nothing and each takes seconds, it gives every test to the next free process.
    """

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Forget what is done; else all that a process was ever given is counted at every test."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        if path.startswith("tests/host/"):  # a machine is the first parameter of what shares one
            machine, _, _ = test.partition("[")[2].partition("-")
            return f"{path} on {machine.rstrip(']')}"
        if _uses_a_browser(path):  # one is started, for all modules
            return "in a browser"
        return nodeid if _shares_nothing(path) else path


@functools.cache
def _shares_nothing(path: str) -> bool:
    module = TESTS.parent / path
    if module.relative_to(TESTS).parts[0] in ROOMS_OF_PROCESSES:
        return 'scope="module"' not in module.read_text()
    return module.stem in LONGEST


@functools.cache
def _uses_a_browser(path: str) -> bool:
    return "needs_browser" in (TESTS.parent / path).read_text()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByWhatIsShared:
    config.option.loadscopereorder = False  # the order is ours: what takes long comes first
    return ByWhatIsShared(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Look for garbage neither while tests are collected nor, later, among what was collected.

    Nothing of it goes before the end, and it is a million objects: to close a ledger, which looks
    through all objects, would cost ten times what it does in a daemon.
    """
    gc.disable()
    _import_a_share(session.config)
    yield
    # Among what is frozen Hypothesis no longer finds who holds its source of chance, and warns.
    settings(max_examples=1, database=None)(given(st.none())(lambda _: None))()
    gc.freeze()
    gc.enable()


def _import_a_share(config: pytest.Config) -> None:
    """Import one module in so many as there are processes, each process others.

    All collect the same in the same order: in a fresh checkout, where nothing is compiled yet, each
    would compile everything. What goes wrong here, collecting tells.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or [Path(arg).resolve() for arg in config.args] != [TESTS]:
        return
    ignored = {Path(path).resolve() for path in config.getoption("ignore") or ()}
    modules = [p for p in sorted(TESTS.rglob("test_*.py")) if not ignored.intersection(p.parents)]
    number = int(worker["workerid"].removeprefix("gw"))
    for path in modules[number :: worker["workercount"]]:
        with contextlib.suppress(Exception):
            importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))


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
    """Mark as slow what starts processes; single tests that are slow say so themselves.

    Modules that take long come first: what is begun last is waited for alone. Before them comes
    what goes to one process, as all that uses a browser.
    """
    for item in items:
        room = item.path.relative_to(TESTS).parts[0]
        if room in ROOMS_OF_PROCESSES or EMULATORS.intersection(_fixtures(item)):
            item.add_marker(pytest.mark.slow)
    served = {item.path for item in items if _is_marked(item, "browser", "dovecot")}
    slow = {item.path for item in items if _is_marked(item, "slow")}

    def place(item: pytest.Item) -> tuple[bool, ...]:
        alone = _uses_a_browser(item.nodeid.partition("::")[0])
        return (
            not alone,
            item.path.stem not in LONGEST,
            item.path not in served,
            item.path not in slow,
        )

    items.sort(key=place)


def _is_marked(item: pytest.Item, *names: str) -> bool:
    return any(item.get_closest_marker(name) for name in names)


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
def chromium() -> Iterator[Any]:
    """A real browser, which others have used before."""
    ours = importlib.import_module("tests.browser")  # slow to import, and not often needed
    with ours.browsing() as browser:
        yield browser


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
