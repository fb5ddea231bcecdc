"""The admin listener: who may look, from where, and what the answers allow."""

from __future__ import annotations

import asyncio
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from postamt_sync.config import Settings
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import mail_id
from postamt_sync.status.report import Runtime, StatusReport
from postamt_sync.status.report_cache import ReportCache, read_report_apart
from postamt_sync.status.server import StatusServer
from tests.doubles.inbox import MemoryLog
from tests.doubles.ledger import listing
from tests.status.seeded import a_good_month, everything_wrong


@dataclass
class Shown:
    url: str
    log: MemoryLog
    look: Callable[[], StatusReport]
    trouble: list[TryLaterError] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    async def ask(
        self, path: str = "/", method: str = "GET", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url.rstrip("/") + path, headers=named) as answer,
        ):
            return answer.status, await answer.text(), dict(answer.headers)

    async def talk(self, raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        try:
            return await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()

    def looked(self) -> StatusReport:
        if self.trouble:
            raise self.trouble.pop()
        return self.look()


@pytest.fixture
async def shown(settings: Settings, ledger: Ledger) -> AsyncIterator[Shown]:
    log = MemoryLog()
    shown = Shown("", log, lambda: read_report_apart(settings))
    admin = StatusServer(
        "127.0.0.1:0", ReportCache(shown.looked), lambda: Runtime(mails=7), Events(log)
    )
    admin.open()
    ((_, said, fields),) = log.said
    assert said == "showing how things stand"
    shown.url = fields["url"]
    yield shown
    await admin.close()


async def test_the_page_and_the_metrics(shown: Shown) -> None:
    status, text, headers = await shown.ask("/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert text.startswith("<!doctype html>")
    status, text, headers = await shown.ask("/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "postamt_sync_settled_mails_total 7.0" in text


async def test_a_mail_has_a_page_of_its_own(settings: Settings, ledger: Ledger) -> None:
    log = MemoryLog()
    shown = Shown("", log, lambda: read_report_apart(settings))
    ledger.arrivals.record([listing(key="incoming/a")])
    reports = ReportCache(shown.looked)
    admin = StatusServer("127.0.0.1:0", reports, Runtime, Events(log), lambda: settings)
    admin.open()
    shown.url = log.said[0][2]["url"]
    status, text, headers = await shown.ask(f"/mail/{mail_id('mail', 'incoming/a')}")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "style-src 'sha256-" in headers["Content-Security-Policy"]
    assert "by SES as incoming/a" in text
    for path in ("0" * 24, "0" * 23, f"{'0' * 24}/", "..%2f..%2f", "A" * 24):
        assert (await shown.ask(f"/mail/{path}"))[0] == 404
    await admin.close()


async def test_without_settings_no_single_mail_is_shown(shown: Shown) -> None:
    assert (await shown.ask(f"/mail/{'0' * 24}"))[0] == 404


async def test_head_has_the_headers_alone(shown: Shown) -> None:
    raw = await shown.talk(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""


@pytest.mark.parametrize("path", ["/", "/metrics", "/nothing"])
async def test_no_answer_can_be_kept_framed_or_read_elsewhere(shown: Shown, path: str) -> None:
    _, _, headers = await shown.ask(path)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"] == "postamt-sync"
    assert not [name for name in headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:9125", "[::1]:80", "LOCALHOST:1", "127.9.9.9"]
)
async def test_it_answers_to_our_own_names(shown: Shown, host: str) -> None:
    assert (await shown.ask("/metrics", Host=host))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9125",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5",
        "0.0.0.0",
        "evil@localhost.example",
        "[::1",
        "",
    ],
)
async def test_a_name_of_someone_else_gets_nothing(shown: Shown, host: str) -> None:
    """A page at evil.example whose name suddenly leads to 127.0.0.1 would be same-origin."""
    for path in ("/", "/metrics"):
        status, text, _ = await shown.ask(path, Host=host)
        assert status == 421
        assert "localhost" in text
        assert "postamt_sync" not in text


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: evil.example\r\n"])
async def test_without_one_host_there_is_no_answer(shown: Shown, hosts: bytes) -> None:
    raw = await shown.talk(b"GET /metrics HTTP/1.0\r\n" + hosts + b"\r\n")
    assert raw.split()[1] in {b"400", b"421"}
    assert b"postamt_sync" not in raw


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_another_site_causes_gets_nothing(shown: Shown, site: str) -> None:
    for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")):
        headers = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
        assert (await shown.ask("/", **headers))[0] == 403


@pytest.mark.parametrize(
    ("site", "mode", "dest"),
    [
        ("none", "navigate", "document"),
        ("same-origin", "navigate", "document"),
        ("cross-site", "navigate", "document"),
    ],
)
async def test_a_person_may_come_from_anywhere(
    shown: Shown, site: str, mode: str, dest: str
) -> None:
    headers = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    assert (await shown.ask("/", **headers))[0] == 200


@pytest.mark.parametrize("path", ["/favicon.ico", "/metrics/", "//", "/../etc/passwd", "/page.css"])
async def test_there_is_nothing_else(shown: Shown, path: str) -> None:
    raw = await shown.talk(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert raw.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_it_can_only_be_read(shown: Shown, method: str) -> None:
    status, _, headers = await shown.ask("/", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


async def test_a_ledger_that_refuses_is_told_and_asked_again(shown: Shown) -> None:
    shown.trouble = [TryLaterError("The ledger is away.", "Look at its disk.")]
    status, text, headers = await shown.ask("/")
    assert (status, text) == (503, "The ledger is away. Look at its disk.\n")
    assert headers["Refresh"] == "60"
    assert (await shown.ask("/"))[0] == 200


@pytest.mark.slow
async def test_many_may_look_at_once(shown: Shown, ledger: Ledger, settings: Settings) -> None:
    a_good_month(ledger, settings.state_dir)
    everything_wrong(ledger)
    answers = await asyncio.gather(
        *(shown.ask(path) for path in ("/", "/metrics") for _ in range(25))
    )
    assert {status for status, _, _ in answers} == {200}


async def test_without_its_port_mail_goes_on_without_it(settings: Settings) -> None:
    log = MemoryLog()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        admin = StatusServer(
            f"127.0.0.1:{port}",
            ReportCache(lambda: read_report_apart(settings)),
            Runtime,
            Events(log),
        )
        admin.open()
        await admin.close()
    ((level, said, fields),) = log.said
    assert (level, said) == ("error", "metrics and status page are off")
    assert f"127.0.0.1:{port}" in fields["reason"]
    assert "admin.listen" in fields["reason"]
    assert "webhook" not in fields["reason"]


async def test_on_ipv6_it_says_where_in_brackets(settings: Settings, ledger: Ledger) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    log = MemoryLog()
    admin = StatusServer(
        "[::1]:0", ReportCache(lambda: read_report_apart(settings)), Runtime, Events(log)
    )
    admin.open()
    ((_, said, fields),) = log.said
    if said != "showing how things stand":
        pytest.skip(f"no IPv6 here: {fields}")
    async with aiohttp.ClientSession() as session, session.get(fields["url"]) as answer:
        assert answer.status == 200
    await admin.close()


# A Unix socket


@asynccontextmanager
async def showing_at(path: Path, settings: Settings) -> AsyncIterator[MemoryLog]:
    log = MemoryLog()
    reports = ReportCache(lambda: read_report_apart(settings))
    admin = StatusServer(f"unix:{path}", reports, lambda: Runtime(mails=7), Events(log))
    admin.open()
    try:
        yield log
    finally:
        await admin.close()


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a path short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def test_a_unix_socket_shows_the_same_to_owner_and_group_alone(
    settings: Settings, ledger: Ledger, short: Path
) -> None:
    path = short / "admin.sock"
    for _ in range(2):  # the second finds what the first left behind
        async with showing_at(path, settings) as log:
            assert log.said == [("info", "showing how things stand", {"url": f"unix:{path}"})]
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                session.get("http://localhost/metrics") as answer,
            ):
                assert answer.status == 200
                assert "postamt" in await answer.text()
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                session.get("http://evil.example/metrics") as answer,
            ):
                assert answer.status == 421


async def test_a_unix_socket_that_someone_serves_is_left_alone(
    settings: Settings, ledger: Ledger, short: Path
) -> None:
    path = short / "admin.sock"
    async with showing_at(path, settings), showing_at(path, settings) as log:
        assert log.events("error") == ["metrics and status page are off"]
        assert "Another program listens" in log.said[0][2]["reason"]


@pytest.mark.parametrize("name", ["file", "none/admin.sock"])
async def test_where_no_unix_socket_can_be_the_daemon_goes_without(
    settings: Settings, ledger: Ledger, short: Path, name: str
) -> None:
    (short / "file").write_text("precious")
    async with showing_at(short / name, settings) as log:
        assert log.events("error") == ["metrics and status page are off"]
    assert (short / "file").read_text() == "precious"
