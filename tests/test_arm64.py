"""On a Raspberry Pi's processor, emulated: all of it can be imported, and the pure parts work."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.host.debian import EMULATOR, PYTHONS, needs_debian, put_checkout, unpack_arm64

pytestmark = [
    *needs_debian,
    pytest.mark.skipif(
        platform.machine() == "aarch64", reason="this machine is one: all tests run on it"
    ),
    pytest.mark.skipif(
        shutil.which(EMULATOR) is None, reason="not installed: apt install qemu-user-static"
    ),
]

CORTEX = "cortex-a72"
"""A Pi 4's; the emulator's own default is many times slower."""
INI = """\
[pytest]
addopts = -q --import-mode=importlib -p no:cacheprovider --assert=plain
filterwarnings = error
markers = slow
"""
FEW_EXAMPLES = """\
from hypothesis import settings
settings.register_profile("few", max_examples=5, deadline=None, database=None, derandomize=True)
settings.load_profile("few")
"""
SCRIPT = """\
import importlib, platform, sys
import pytest
import postamt_sync.app.daemon
from postamt_sync.cli.verbs import VERBS

print(platform.machine(), "%d.%d" % sys.version_info[:2])
for verb in VERBS:
    if verb.name != "demo":  # it takes an emulator of AWS, which a Pi need not have
        importlib.import_module(verb.target.partition(":")[0])
print("imported", flush=True)
# Long texts and the tables of Unicode take the emulator minutes, and are the same everywhere.
which = "not megabyte and not any_text"
sys.exit(pytest.main(["-c", "/repo/few.ini", "/repo/tests/mail", "-k", which]))
"""


@pytest.mark.parametrize("suite", PYTHONS)
def test_it_imports_and_understands_mail(suite: str, tmp_path: Path) -> None:
    root = tmp_path / suite
    unpack_arm64(suite, root)
    put_checkout(root / "repo")
    (root / "repo/few.ini").write_text(INI)
    (root / "repo/tests/conftest.py").write_text(FEW_EXAMPLES)
    (root / "proc").mkdir(exist_ok=True)
    done = subprocess.run(
        ["chroot", str(root), f"/{EMULATOR}", "/usr/bin/python3", "-c", SCRIPT],
        env={
            "PATH": os.environ["PATH"],
            "QEMU_CPU": CORTEX,
            "PYTHONPATH": "/libraries:/repo",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"aarch64 {PYTHONS[suite]}\nimported\n")
    assert " passed" in done.stdout
