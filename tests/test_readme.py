"""The README is a promise: its commands are taken from it and run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from postamt_sync.cli.verbs import VERBS

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
DEMO, TESTS, *_ = re.findall(r"^```sh\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what is in the repository, without what was installed beside it."""
    copy = tmp_path / "checkout"
    for name in tracked_files():
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
    return copy


@pytest.fixture
def package_index(tmp_path: Path) -> None:
    """Skip where nothing can be installed: these tests try what a newcomer types."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "hatchling"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        pytest.skip("no package index can be reached")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("package_index")
def test_the_first_command_shows_the_demo_until_it_is_stopped(checkout: Path) -> None:
    process = subprocess.Popen(
        ["bash", "-c", DEMO],
        cwd=checkout,
        env={k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may have had Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        assert "byte for byte" in said, said
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of them
        said += process.stdout.read()
        assert process.wait() == 128 + signal.SIGINT, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()


def test_the_second_command_is_what_ci_runs() -> None:
    assert TESTS in (REPOSITORY / ".ci/run").read_text().splitlines()
    assert os.access(REPOSITORY / TESTS, os.X_OK)


def test_both_come_before_anything_else_to_type() -> None:
    assert "postamt-sync demo" in DEMO
    assert len(DEMO.splitlines()) == 1
    assert len(TESTS.splitlines()) == 1


def test_every_command_that_it_names_exists() -> None:
    named = set(re.findall(r"postamt-sync ([a-z]+)", README))
    assert named - {"is"} <= {verb.name for verb in VERBS}
    assert {"run", "sync", "status", "check"} <= named


def test_every_file_that_it_names_exists() -> None:
    for name in ("config.example.toml", "tests/run"):
        assert name in README
        assert (REPOSITORY / name).is_file()
