"""The demo with its webmail: mail that really travelled, in front of whom it is for."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from pathlib import Path

import aiohttp
import pytest

from postamt_sync.demo.samples import samples
from postamt_sync.demo.system import DemoSystem
from postamt_sync.demo.webmail import DemoWebmail
from postamt_sync.errors import TryLaterError
from tests.cli.test_demo import start
from tests.doubles.emulator import LoadedEmulator

STATIONS = (
    "webmail reads",
    "SES takes",
    "bucket keeps",
    "webmail lists",
    "home has",
    "IMAP shows",
)


def still_running(root: Path) -> list[bytes]:
    """Return the command lines of processes that are told of a directory."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(each.read_bytes())
    return [line for line in found if str(root).encode() in line]


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_the_tour_ends_in_the_webmail(tmp_path: Path) -> None:
    process = await start("--once", "--webmail", "--keep", str(tmp_path / "kept"))
    out, _ = await process.communicate()
    said = out.decode()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert re.search(r"^  webmail +http://127\.0\.0\.1:\d+/$", said, re.MULTILINE)
    assert re.search(r"sign in as anna or bruno, secret \w{20,}$", said, re.MULTILINE)
    assert "✓ Each mailbox sees its own mail" in said
    for station in STATIONS:
        assert re.search(rf"^  ✓ {station} +\S", said, re.MULTILINE), said
    assert all(len(line) <= 80 for line in said.splitlines() if str(tmp_path) not in line)
    assert still_running(tmp_path) == []


@pytest.mark.timeout(300)
async def test_who_is_not_let_in_sees_nothing_and_what_is_missing_is_noticed(
    tmp_path: Path,
) -> None:
    async with DemoSystem(tmp_path, with_webmail=True, emulator=LoadedEmulator()) as system:
        webmail = system.webmail
        assert webmail is not None
        letter = next(samples())
        await system.send(letter)
        assert await system.seen_in_webmail()
        assert len(await webmail.subjects("anna")) == 1
        assert await webmail.subjects("bruno") == []
        webmail.secret = "wrong" * 5
        with pytest.raises(aiohttp.ClientResponseError, match="401"):
            await webmail.subjects("anna")
    await asyncio.sleep(0)
    with pytest.raises(aiohttp.ClientError):
        await webmail.subjects("anna")


SERVE = (
    "import socket, sys; port = int(sys.argv[sys.argv.index('--port') + 1]); "
    "s = socket.create_server(('127.0.0.1', port)); input()"
)
"""What the start of the webmail is about: it listens at the port that it is told."""


def stand_in(script: str) -> DemoWebmail:
    """Return the webmail of a household without mailboxes, which is this script of Python."""
    return DemoWebmail(Path("config.toml"), {}, (), (sys.executable, "-c", script))


async def test_a_warning_before_it_is_ready_is_none_of_its_end() -> None:
    async with stand_in(f"print('AWS is slow.', flush=True); {SERVE}") as webmail:
        assert webmail.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("prints", "told"), [("", "nothing"), ("print('No.\\nNever.')", "No. Never.")]
)
async def test_one_that_ends_instead_tells_all_that_it_said(prints: str, told: str) -> None:
    with pytest.raises(TryLaterError) as caught:
        async with stand_in(prints):
            pass
    assert caught.value.hint == f"See its output: {told}"
