from __future__ import annotations

import subprocess

import pytest

from tests.end_to_end.conftest import home, s3
from tests.faults.campaign.image import mounted

__all__ = ["disks", "home", "s3"]


@pytest.fixture(scope="session")
def disks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where no disk of our own can be mounted, or lose its power."""
    scratch = tmp_path_factory.mktemp("trial")
    try:
        with mounted(scratch / "trial.ext4", scratch / "disk", 16) as image:
            image.lose_power()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no ext4 image can be mounted and shut down here, which needs root: {error}")
