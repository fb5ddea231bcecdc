"""What a container's health check says of the daemon beside it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from postamt_sync.ledger import CourierLock
from postamt_sync.status.healthcheck import trouble
from tests.support.household import configuration, configure
from tests.support.http_server import served


class Page(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 - emptied by the test that reads it

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def page() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    with served(server):
        yield f"127.0.0.1:{server.server_port}"


def environ(tmp_path: Path, listen: str) -> dict[str, str]:
    file = configure(tmp_path, configuration(tmp_path, f'[admin]\nlisten = "{listen}"\n'))
    return {"POSTAMT_SYNC_CONFIG": str(file)}


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "state").mkdir()
    with CourierLock(tmp_path / "state", "run"):
        yield


def test_without_a_daemon_it_fails(tmp_path: Path) -> None:
    assert "not running" in trouble(environ(tmp_path, ""))


def test_without_a_configuration_it_fails(tmp_path: Path) -> None:
    assert "has 1 problem" in trouble({"POSTAMT_SYNC_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.usefixtures("at_work")
def test_a_daemon_without_a_page_is_well(tmp_path: Path) -> None:
    assert trouble(environ(tmp_path, "")) == ""


@pytest.mark.usefixtures("at_work")
def test_a_daemon_that_answers_is_well(tmp_path: Path) -> None:
    Page.asked.clear()
    with page() as listen:
        assert trouble(environ(tmp_path, listen)) == ""
    assert Page.asked == ["/metrics"]


@pytest.mark.usefixtures("at_work")
def test_a_daemon_whose_page_is_off_because_the_port_was_taken_is_well(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    assert trouble(environ(tmp_path, f"127.0.0.1:{port}")) == ""
    assert trouble(environ(tmp_path, f"unix:{tmp_path}/none.sock")) == ""


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_daemon_that_hangs_is_told(tmp_path: Path, family: socket.AddressFamily) -> None:
    with socket.socket(family) as hung:
        hung.bind(str(tmp_path / "s") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        hung.listen()
        name = hung.getsockname()
        listen = f"unix:{name}" if family == socket.AF_UNIX else f"127.0.0.1:{name[1]}"
        assert "does not answer" in trouble(environ(tmp_path, listen), seconds=0.1)
