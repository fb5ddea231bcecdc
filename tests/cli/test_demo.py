from pathlib import Path

import pytest

from postamt_sync.cli.main import run


def test_a_directory_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("precious")
    assert run(["demo", "--once", "--keep", str(tmp_path)]) == 64
    assert "is not empty." in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_file_is_no_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(["demo", "--keep", str(tmp_path / "file")]) == 64
    assert "cannot be used: File exists." in " ".join(capsys.readouterr().err.split())
