from __future__ import annotations

import os
from pathlib import Path

from postamt_sync.host.dovecot.managed_files import write


def test_each_change_shows_in_whole_seconds(tmp_path: Path) -> None:
    path = tmp_path / "list"
    seen = set()
    for number in range(4):
        write(path, f"{number}\n")
        seen.add(int(path.stat().st_mtime))
    assert len(seen) == 4


def test_a_clock_that_was_put_back_hides_no_change(tmp_path: Path) -> None:
    path = tmp_path / "list"
    write(path, "one\n")
    os.utime(path, (4e9, 4e9))
    write(path, "two\n")
    assert path.stat().st_mtime == 4e9 + 1
