"""File systems that lack something: hard links, modes, times, syncs of directories, locks."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home
from tests.end_to_end.letters import letter, letter_to_both, put
from tests.faults.campaign.odd_disk import COMPILER, built, environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None, reason="no C compiler: sudo apt install gcc"),
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("ways", "error"),
    [
        ("nomode,nolink,nodirsync", errno.EPERM),
        ("nomode,nolink,nodirsync", errno.EOPNOTSUPP),
        ("nomode,nolink,nodirsync", errno.ENOSYS),
        ("nomode,nolink,nodirsync", errno.EINVAL),
        ("short,broken", 0),
    ],
)
def test_mail_comes_all_the_same(
    home: Home, s3: S3Double, shim: Path, ways: str, error: int
) -> None:
    letters = [letter("small"), letter_to_both("both"), letter("large", text="Tea? " * 60_000)]
    put(s3, *letters)
    code, said = home.sync(**environment(shim, home.root, ways, error))
    assert (code, said["delivered"]) == (0, 3), said
    wanted = {copy for one in letters for copy in one.expected()}
    assert set(home.contents()) == wanted
    assert home.sync()[1]["delivered"] == 0, "the ledger knows it too"


def test_a_state_directory_without_locks_is_named(home: Home, shim: Path) -> None:
    """Two at once would deliver twice."""
    odd = environment(shim, home.state, "nolock", errno.ENOLCK)
    done = home.do("sync", "--json", **odd)
    assert done.returncode == 75
    assert "has no locks" in done.stderr
    assert "Traceback" not in done.stderr
