import asyncio
import signal
import sys
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


async def start(*options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "postamt_sync", "demo", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.mark.slow
async def test_the_real_daemon_passes_the_tour(tmp_path: Path) -> None:
    process = await start("--once", "--keep", str(tmp_path / "kept"))
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert {"config.toml", "daemon.log", "mail", "state"} <= {
        path.name for path in (tmp_path / "kept").iterdir()
    }


@pytest.mark.slow
async def test_a_signal_in_the_middle_clears_everything_away() -> None:
    process = await start()
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b"  directory"):
            directory = Path(line.split()[1].decode())
        if line.startswith(b"  daemon"):
            daemon = Path("/proc", line.split()[2].decode().rstrip(","))
        if line.startswith(b"  milliseconds"):
            break
    assert daemon.exists()
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()
    assert b"Traceback" not in rest
    assert process.returncode == 130
    assert not directory.exists()
    assert not daemon.exists()
