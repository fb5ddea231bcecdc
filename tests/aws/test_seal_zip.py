"""The zip of the sealing function: the right wheel, the same bytes, and it runs by itself."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from postamt_sync.aws.seal_zip import WHEEL, kept_wheel, seal_zip
from postamt_sync.bootstrap.resources.lambda_function import ARCHITECTURE, RUNTIME
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.seal.function import OWNER_KEYS

ROOT = Path(__file__).parents[2]


def wheel(**more: bytes) -> bytes:
    """Return one that has what every wheel has."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in {
            "pysequoia/__init__.py": b"",
            "pysequoia/pysequoia.cpython-313-aarch64-linux-gnu.so": b"\x7fELF",
            "pysequoia/py.typed": b"",
            "pysequoia-0.1.35.dist-info/licenses/LICENSE": b"Apache",
            "pysequoia-0.1.35.dist-info/RECORD": b"",
            **more,
        }.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return archive.getvalue()


PINNED = replace(WHEEL, sha256=hashlib.sha256(wheel()).hexdigest())


class Pip:
    """What pip would do, and what it was asked."""

    def __init__(self, file: bytes | None) -> None:
        self.file = file
        self.asked: list[list[str]] = []
        self.requirements = ""

    def __call__(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.asked.append(list(words))
        named = dict(word.partition("=")[::2] for word in words if "=" in word)
        self.requirements = Path(named["--requirement"]).read_text()
        if self.file is not None:
            (Path(named["--dest"]) / WHEEL.file).write_bytes(self.file)
        return subprocess.CompletedProcess(words, 1, "", "No module named pip\n")


def test_it_ships_what_it_imports_the_keys_and_the_wheel() -> None:
    with zipfile.ZipFile(io.BytesIO(seal_zip({"AB": b"cert"}, wheel()))) as archive:
        names = archive.namelist()
        assert archive.read(f"{OWNER_KEYS}/AB.pgp") == b"cert", "where the function looks"
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert "postamt_sync/seal/function.py" in names
    assert "pysequoia/pysequoia.cpython-313-aarch64-linux-gnu.so" in names
    assert "pysequoia-0.1.35.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if "proving" in name or name.endswith(("RECORD", "typed"))]
    assert not [name for name in names if name.startswith(("postamt_sync/cli", "postamt_sync/boo"))]


@pytest.mark.slow
def test_the_same_keys_make_the_same_bytes_and_others_others() -> None:
    one, other = {"A": b"1", "B": b"2"}, {"B": b"2", "A": b"1"}
    assert seal_zip(one, wheel()) == seal_zip(other, wheel())
    assert seal_zip(one, wheel()) != seal_zip({"A": b"1"}, wheel())


def test_pip_is_asked_by_hash_for_the_function_s_machine_and_once(tmp_path: Path) -> None:
    pip, environ = Pip(wheel()), {"XDG_CACHE_HOME": str(tmp_path)}
    assert kept_wheel(None, environ, pip, PINNED) == wheel()
    (words,) = pip.asked
    assert {"--require-hashes", "--platform=manylinux2014_aarch64", "--no-deps"} <= set(words)
    assert "--python-version=3.13" in words
    assert pip.requirements == f"pysequoia==0.1.35 --hash=sha256:{PINNED.sha256}\n"
    assert kept_wheel(None, environ, pip, PINNED) == wheel()
    assert len(pip.asked) == 1, "it is kept"
    (tmp_path / "postamt-sync" / WHEEL.file).write_bytes(b"changed")
    assert kept_wheel(None, environ, pip, PINNED) == wheel()
    assert len(pip.asked) == 2


@pytest.mark.parametrize("file", [None, b"another", b""])
def test_what_pip_does_not_get_is_told_with_the_way_out(tmp_path: Path, file: bytes | None) -> None:
    with pytest.raises(TryLaterError) as raised:
        kept_wheel(None, {"XDG_CACHE_HOME": str(tmp_path)}, Pip(file), PINNED)
    assert "No module named pip" in str(raised.value)
    assert "--wheel FILE" in raised.value.hint
    assert not (tmp_path / "postamt-sync").exists()


def test_a_file_that_is_given_is_taken_only_if_it_is_the_one(tmp_path: Path) -> None:
    environ, given = {"XDG_CACHE_HOME": str(tmp_path)}, tmp_path / "some.whl"
    for content in (None, b"another"):
        if content is not None:
            given.write_bytes(content)
        with pytest.raises(MisconfiguredError) as raised:
            kept_wheel(given, environ, Pip(wheel()), PINNED)
        assert PINNED.sha256 in raised.value.hint
    given.write_bytes(wheel())
    assert kept_wheel(given, environ, Pip(None), PINNED) == wheel()
    assert kept_wheel(None, environ, Pip(None), PINNED) == wheel(), "it is kept"


def test_a_place_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environ = {"XDG_CACHE_HOME": str(tmp_path / "file")}
    assert kept_wheel(None, environ, Pip(wheel()), PINNED) == wheel()


def test_the_pins_are_for_what_lambda_runs_and_what_is_installed_here() -> None:
    assert f"python{WHEEL.python}" == RUNTIME
    assert (ARCHITECTURE, WHEEL.platform.rpartition("_")[2]) == ("arm64", "aarch64")
    assert f"cp{WHEEL.python.replace('.', '')}-" in WHEEL.file
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"{WHEEL.name}=={WHEEL.version}" in extras["optional-dependencies"]["seal"]


@pytest.mark.slow
def test_the_function_starts_from_its_zip_alone(tmp_path: Path) -> None:
    """With the package of this machine in the place of the other's."""
    with zipfile.ZipFile(io.BytesIO(seal_zip({}, wheel()))) as archive:
        ours = [name for name in archive.namelist() if not name.startswith("pysequoia")]
        archive.extractall(tmp_path, ours)
    script = "import postamt_sync.seal.function as f; print(f.__file__, f.handle.__name__)"
    environ = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert done.stdout.split() == [str(tmp_path / "postamt_sync/seal/function.py"), "handle"]
