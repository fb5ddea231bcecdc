"""Where this process may write at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postamt_sync.delivery.writable import is_read_only


@pytest.mark.parametrize("below", [".", "new", "new/below"])
def test_a_place_that_is_open_and_what_would_be_in_it(tmp_path: Path, below: str) -> None:
    assert not is_read_only(tmp_path / below)


@pytest.mark.parametrize("below", [".", "new", "new/below"])
def test_a_place_that_is_read_only_and_what_would_be_in_it(read_only: Path, below: str) -> None:
    assert is_read_only(read_only / below)


def test_something_in_the_way_counts_as_what_holds_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not is_read_only(tmp_path / "file/below")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is hidden from root")
def test_a_hidden_place_counts_as_what_hides_it(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir(mode=0)
    assert not is_read_only(tmp_path / "hidden/below")
