"""`python -m postamt_sync.status.healthcheck`: what a container's health check runs.

Ends with 0 if the daemon or a pass is running and answers, otherwise with 1 and a sentence.
`POSTAMT_SYNC_CONFIG` names the configuration, as for the daemon.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from collections.abc import Mapping

from postamt_sync.config import load
from postamt_sync.config.listen import parse_listen, unix_path
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import CourierLock

SECONDS = 10.0
"""Seconds for each step of the answer; drawing a page takes one on a Pi."""


def trouble(environ: Mapping[str, str] = os.environ, seconds: float = SECONDS) -> str:
    """Return what is wrong, as a sentence; "" if all is well."""
    try:
        settings = load(environ=environ)
    except PostamtError as error:
        return str(error)
    if CourierLock.holder(settings.state_dir) is None:
        return "Nobody delivers mail: the daemon is not running."
    if not settings.admin.listen:
        return ""
    connection = _connection(settings.admin.listen, seconds)
    try:
        connection.request("HEAD", "/metrics", headers={"Host": "localhost"})
        connection.getresponse()
    except (ConnectionRefusedError, FileNotFoundError):
        return ""  # the daemon does without its page if another program has the address
    except (OSError, http.client.HTTPException) as error:
        said = str(error) or type(error).__name__
        return f"The daemon does not answer at {settings.admin.listen}: {said}."
    finally:
        connection.close()
    return ""


def _connection(listen: str, seconds: float) -> http.client.HTTPConnection:
    path = unix_path(listen)
    if path is None:
        address = parse_listen(listen)
        return http.client.HTTPConnection(address.host, address.port, timeout=seconds)
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    asking.settimeout(seconds)
    connection = http.client.HTTPConnection("localhost", timeout=seconds)

    def connect() -> None:
        connection.sock = asking
        asking.connect(str(path))

    connection.connect = connect  # type: ignore[method-assign]
    return connection


if __name__ == "__main__":
    sys.exit(trouble() or 0)
