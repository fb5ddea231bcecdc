"""The disks of campaigns: dead and alive as they should be, and gone with their owner."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.home import REPOSITORY, wait_until
from tests.faults.campaign.image import mounted

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("disks")]

MEGABYTES = 16
HERE = Path("/proc/self/ns/mnt").readlink()
OWNER = """
import sys
from collections.abc import Callable
from pathlib import Path
from tests.faults.campaign.image import mounted
with mounted(Path(sys.argv[1], "disk.ext4"), Path(sys.argv[1], "disk"), 16):
    print("mounted", flush=True)
    sys.stdin.read()
"""


def test_it_is_alive_again_though_a_container_has_it_mounted_too(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk.ext4", tmp_path / "disk", MEGABYTES) as image:
        synced, lost = image.place / "synced", image.place / "lost"
        synced.write_text("synced")
        os.sync()
        container = subprocess.Popen(["unshare", "--mount", "sleep", "1000"])
        try:
            wait_until(lambda: Path(f"/proc/{container.pid}/ns/mnt").readlink() != HERE)
            lost.write_text("lost")
            image.lose_power()
            with pytest.raises(OSError, match="Input/output error"):
                synced.read_text()
            image.unmount()
            image.mount()
            assert synced.read_text() == "synced"
            assert not lost.exists()
            lost.write_text("again")
        finally:
            container.kill()
            container.wait()


def test_a_process_that_is_killed_leaves_no_disk_behind(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    owner.stdout.readline()
    assert (tmp_path / "disk").is_mount()
    owner.kill()
    owner.communicate()
    wait_until(lambda: not (tmp_path / "disk").is_mount())
