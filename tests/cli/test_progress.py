"""What a pass shows of its speed: what is measured now, and the limit in force."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from postamt_sync.app.sync import SyncProgress
from postamt_sync.cli.pass_bar import PassBar
from postamt_sync.cli.pass_speed import MEASURED_OVER, Speed
from postamt_sync.cli.progress import LINE_EVERY, PassProgress
from tests.doubles.clock import Clock


def test_the_speed_is_that_of_the_last_seconds() -> None:
    clock = Clock(0.0)
    speed = Speed(clock)
    speed.note(SyncProgress())
    assert (speed.mails, speed.bytes) == (0, 0)
    clock.now = 300  # a long listing
    speed.note(SyncProgress(received=300_000))
    assert speed.bytes == 1_000
    for second in range(1, 31):
        clock.now = 300 + second
        speed.note(SyncProgress(done=5 * second, received=300_000 + 2_000_000 * second))
    assert speed.mails == pytest.approx(5)
    assert speed.bytes == pytest.approx(2_000_000)
    clock.now += MEASURED_OVER + 1  # nothing comes
    speed.note(SyncProgress(done=150, received=60_300_000))
    clock.now += MEASURED_OVER + 1
    speed.note(SyncProgress(done=150, received=60_300_000))
    assert (speed.mails, speed.bytes) == (0, 0)


@pytest.mark.parametrize("width", [60, 80])
def test_the_bar_fits_and_tells_the_limit(width: int) -> None:
    clock, shown = Clock(0.0), io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None)
    bar = PassBar(console)
    with PassProgress(enabled=True, bar=bar, clock=clock) as progress:
        progress.show(SyncProgress(listed=1000))
        for second in (1, 2, 3):
            clock.now = second
            done = SyncProgress(0, 199_999, 40 * second, 1_512_345_678, 1_930_000 * second)
            done.listing, done.limit = False, 2_000_000
            progress.show(done)
        bar.refresh()
    lines = shown.getvalue().replace("\r", "\n").splitlines()
    [last] = [line for line in lines if "1.93 MB/s" in line][-1:]
    assert "40/s" in last
    assert "1.93 MB/s of 2 MB/s" in last, "in one line"
    assert "120/199999" in last


def test_lines_for_pipes_tell_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(0.0)
    progress = PassProgress(enabled=True, clock=clock)
    progress.show(SyncProgress(listing=False, todo=10))
    clock.now = LINE_EVERY
    progress.show(SyncProgress(0, 10, 5, 500_000, 500_000, 50_000, listing=False))
    assert capsys.readouterr().err == (
        "delivering: 5 of 10 mails, 0.5 MB, 0 mails/s, 50 kB/s, limited to 50 kB/s\n"
    )
