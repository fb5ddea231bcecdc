import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postamt_sync.demo.display import WIDTH, Display
from postamt_sync.demo.samples import plain
from postamt_sync.demo.system import DemoSystem
from postamt_sync.demo.tour import Tour, play
from tests.doubles.emulator import LoadedEmulator

LETTER = plain("A letter", "Hello")


def stand_in(fault: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.doubles.stand_in", fault)


@asynccontextmanager
async def stage_with(fault: str, root: Path) -> AsyncIterator[tuple[DemoSystem, Tour, io.StringIO]]:
    out = io.StringIO()
    async with DemoSystem(root, stand_in(fault), emulator=LoadedEmulator()) as system:
        yield system, Tour(system, Display(out)), out


async def test_a_good_daemon_passes_the_whole_tour(tmp_path: Path) -> None:
    out = io.StringIO()
    assert await play(tmp_path, Display(out), once=True, command=stand_in("none"))
    text = out.getvalue()
    assert "11 mails, 13 copies: each there once, byte for byte." in text
    assert "nothing lost, nothing doubled" in text
    assert "Found by: poll." in text
    assert max(map(len, text.splitlines())) <= max(WIDTH, len(str(tmp_path)) + 15)
    rows = [line for line in text.splitlines() if line.startswith("  Several megabytes  ")]
    assert len(rows[0].split()) == 7


async def test_a_mail_that_came_twice_fails_the_tour(tmp_path: Path) -> None:
    async with stage_with("double", tmp_path) as (system, tour, out):
        sent = await system.send(LETTER)
        assert await system.until(lambda: len(list(system.household.delivered())) == 2)
        assert not system.is_right(sent)
        assert not tour.judge()
        assert "A letter: found in anna, anna, not in anna" in out.getvalue()


@pytest.mark.long
async def test_a_mail_with_other_bytes_fails_the_tour(tmp_path: Path) -> None:
    async with stage_with("garble", tmp_path) as (system, tour, out):
        sent = await system.send(LETTER)
        assert await system.until(lambda: bool(list(system.household.delivered())))
        assert not system.is_right(sent)
        assert not tour.judge()
        assert "A letter: found in no mailbox" in out.getvalue()


async def test_a_mail_that_is_lost_fails_the_tour(tmp_path: Path) -> None:
    async with stage_with("blind", tmp_path) as (system, tour, _):
        await system.send(LETTER, lose_notifications=True)
        assert not tour.judge()


@pytest.mark.long
async def test_a_file_that_nobody_sent_fails_the_tour(tmp_path: Path) -> None:
    async with stage_with("blind", tmp_path) as (system, tour, out):
        stranger = system.household.maildirs["bruno"] / "new" / "stranger"
        stranger.write_bytes(b"who are you?")
        assert not tour.judge()
        assert "1 files for 0 copies" in out.getvalue()


async def test_nothing_is_left_running(tmp_path: Path) -> None:
    async with stage_with("none", tmp_path) as (system, _, _):
        daemon = Path(f"/proc/{system.daemon.pid}")
        assert daemon.exists()
    assert not daemon.exists()


async def test_a_daemon_that_does_not_start_is_named(tmp_path: Path) -> None:
    ends = (sys.executable, "-c", "raise SystemExit(78)")
    with pytest.raises(Exception, match=r"daemon\.log"):
        async with DemoSystem(tmp_path, ends, emulator=LoadedEmulator()):
            pass


async def test_the_daemon_does_not_inherit_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTAMT_SYNC_POLL__INTERVAL", "77")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    async with stage_with("none", tmp_path) as (system, _, _):
        environment = Path(f"/proc/{system.daemon.pid}/environ").read_bytes()
    assert b"POSTAMT_SYNC_" not in environment
    assert b"NOTIFY_SOCKET" not in environment
    assert b"AWS_ENDPOINT_URL_SNS=http://127.0.0.1:" in environment
