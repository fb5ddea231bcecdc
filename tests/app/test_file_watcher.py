"""Every way in which a file gets new content, on a real file system."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postamt_sync.app.file_watcher import FileWatcher
from postamt_sync.events import Events
from tests.doubles.inbox import MemoryLog

pytestmark = pytest.mark.slow


@dataclass
class Watch:
    """What was seen in the files each time they were reported as changed."""

    paths: list[Path]
    probe: Path
    log: MemoryLog = field(default_factory=MemoryLog)
    seen: asyncio.Queue[list[str]] = field(default_factory=asyncio.Queue)
    probed: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def changed(self) -> None:
        self.probed.put_nowait(self.probe.read_text())
        self.seen.put_nowait([path.read_text() for path in self.paths if path.exists()])

    async def works(self, attempt: str) -> bool:
        """Write to the probe; tell whether that was reported soon."""
        self.probe.write_text(attempt)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while await self.probed.get() != attempt:
                    pass
                return True
        return False

    async def until(self, *contents: str) -> None:
        """Until a report shows this; what is written bit by bit may be reported bit by bit."""
        async with asyncio.timeout(60):
            while await self.seen.get() != list(contents):
                pass


@asynccontextmanager
async def watching(*paths: Path) -> AsyncIterator[Watch]:
    """Watch until the block ends. On entry the watch is known to work, and all is reported."""
    watch = Watch(list(paths), paths[0].parent / "probe")
    watch.probe.write_text("")
    files = FileWatcher(lambda: [*paths, watch.probe], watch.changed, Events(watch.log))
    task = asyncio.create_task(files.run())
    try:
        for attempt in range(600):
            if await watch.works(f"{attempt}"):
                break
            assert not task.done()
        while not watch.seen.empty():  # an earlier attempt may have been reported late
            watch.seen.get_nowait()
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def replace(path: Path, text: str) -> None:
    """As editors do it."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)


def remove_and_write(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("change", [replace, Path.write_text, remove_and_write])
async def test_new_content_is_reported(
    tmp_path: Path, change: Callable[[Path, str], object]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("old")
    async with watching(path) as watch:
        change(path, "new")
        await watch.until("new")
        change(path, "newer")
        await watch.until("newer")


async def test_a_link_that_leads_elsewhere_is_new_content(tmp_path: Path) -> None:
    """certbot: live/fullchain.pem leads to ../archive/fullchain<n>.pem."""
    live, archive = tmp_path / "live", tmp_path / "archive"
    live.mkdir()
    archive.mkdir()
    names = ["fullchain", "privkey"]
    for number in (1, 2):
        for name in names:
            (archive / f"{name}{number}").write_text(f"{name}{number}")
    paths = [live / name for name in names]
    for path in paths:
        path.symlink_to(archive / f"{path.name}1")
    async with watching(*paths) as watch:
        for path in paths:
            new = path.with_name("new")
            new.symlink_to(archive / f"{path.name}2")
            new.rename(path)
        await watch.until("fullchain2", "privkey2")


async def test_a_directory_that_is_switched_as_a_whole_is_new_content(tmp_path: Path) -> None:
    """Kubernetes: config.toml leads to ..data/config.toml, and ..data to another directory."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "config.toml").write_text(f"{number}")
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "config.toml"
    path.symlink_to("..data/config.toml")
    async with watching(path) as watch:
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await watch.until("2")


async def test_touching_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("same")
    async with watching(path) as watch:
        os.utime(path)
        replace(path, "same")
        (tmp_path / "unrelated").write_text("x")
        replace(path, "new")  # the first report is of this
        assert await watch.seen.get() == ["new"]
        assert watch.seen.empty()


async def test_a_file_may_come_later_and_go(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    async with watching(path) as watch:
        path.write_text("there")
        await watch.until("there")
        path.unlink()
        await watch.until()


async def test_something_busy_beside_it_does_not_hold_the_report_back(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("old")

    async def scribble() -> None:
        number = 0
        while True:
            number += 1
            (tmp_path / "log").write_text(f"{number}")
            await asyncio.sleep(0.01)

    async with watching(path) as watch:
        scribbling = asyncio.create_task(scribble())
        path.write_text("new")
        await watch.until("new")
        scribbling.cancel()


async def test_a_directory_that_is_missing_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("old")
    async with watching(path, tmp_path / "missing" / "key.pem") as watch:
        path.write_text("new")
        await watch.until("new")
    told = [fields["directory"] for level, _, fields in watch.log.said if level == "error"]
    assert told == [str(tmp_path / "missing")]


async def test_no_thread_is_left(tmp_path: Path) -> None:
    def watchers() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each.daemon}

    before = watchers()
    async with watching(tmp_path / "config.toml"):
        assert watchers() - before
    assert watchers() <= before  # one that another test left behind may end meanwhile


async def test_what_a_change_names_is_watched_from_then_on(tmp_path: Path) -> None:
    """As tls_certificate moves to another directory in the running daemon."""
    old, new = tmp_path / "old/chain.pem", tmp_path / "new/chain.pem"
    for path in (old, new):
        path.parent.mkdir()
        path.write_text("one")
    config = tmp_path / "config.toml"
    config.write_text(str(old))
    seen: asyncio.Queue[str] = asyncio.Queue()

    def named() -> list[Path]:
        return [config, Path(config.read_text())]

    async def changed() -> None:
        seen.put_nowait(named()[1].read_text())

    log = MemoryLog()
    task = asyncio.create_task(FileWatcher(named, changed, Events(log)).run())
    try:
        async with asyncio.timeout(60):
            for attempt in range(600):  # until it is known to watch
                old.write_text(f"old {attempt}")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await seen.get()
                        break
            replace(config, str(new))
            while await seen.get() != "one":
                pass
            replace(new, "two")
            while await seen.get() != "two":
                pass
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert log.said == []


async def test_what_changed_before_it_was_watched_is_told_too(tmp_path: Path) -> None:
    """The reload reads a file; it is replaced before anybody watches its directory."""
    config, late = tmp_path / "config.toml", tmp_path / "late/chain.pem"
    late.parent.mkdir()
    late.write_text("one")
    config.write_text("")
    read: asyncio.Queue[str] = asyncio.Queue()

    def named() -> list[Path]:
        return [config, late] if config.read_text() else [config]

    async def changed() -> None:
        read.put_nowait(late.read_text())
        late.write_text("two")

    task = asyncio.create_task(FileWatcher(named, changed, Events(MemoryLog())).run())
    try:
        async with asyncio.timeout(60):
            for attempt in range(600):
                config.write_text(f"new {attempt}")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        assert await read.get() == "one"
                        break
            assert await read.get() == "two"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
