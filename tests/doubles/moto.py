"""The emulated AWS in a process of its own, for tests that are not asynchronous."""

from __future__ import annotations

import atexit
import errno
import functools
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from postamt_sync.bootstrap.resources.table import RECORDS
from tests.support.aws_session import REGION, aws_session

COPY, SERVING = b"copy", b"serving"
PATIENCE = 60.0


class MotoProcess:
    """A process of `tests/doubles/moto_process.py`, by its control socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def copy(self, listening: socket.socket) -> MotoProcess:
        """Return a process that holds the same and serves on this socket; this one serves no more.

        It serves when this returns.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._control, [COPY], [theirs.fileno(), listening.fileno()])
        assert ours.recv(16) == SERVING, "the emulator could not be copied"
        return MotoProcess(ours)

    def end(self) -> None:
        """End it; it accepts no more when this returns."""
        self._control.shutdown(socket.SHUT_WR)
        assert self._control.recv(16) == b""
        self._control.close()


@functools.cache
def _first() -> MotoProcess:
    """Return the one whose copies are empty, which all processes of a run of the tests share."""
    address = f"\0postamt-sync moto {os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        try:
            listening.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            listening.listen()
            _start(listening)
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    end = time.monotonic() + PATIENCE
    while (refused := ours.connect_ex(address)) != 0:  # whoever has the address listens soon
        assert time.monotonic() < end, f"no emulator: {os.strerror(refused)}"
        time.sleep(0.001)
    atexit.register(ours.close)
    return MotoProcess(ours)


def _start(listening: socket.socket) -> None:
    """Start it; it ends when nobody is left who has asked for it, and is not waited for."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    os.set_inheritable(listening.fileno(), True)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "tests.doubles.moto_process", str(listening.fileno())],
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
    )


class Moto:
    """A running emulator. `environment` is what a process needs to take it for AWS."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._serving = _first().copy(self._listening)
        self._kept: list[MotoProcess] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
        }
        self._session = aws_session()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return the client for a service; made once, for that is slow."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self.url)
        return self._clients[service]

    def reset(self) -> None:
        """Forget all that was made."""
        self._post("reset")

    def enforce_policies(self) -> None:
        """Refuse from now on what IAM's policies refuse."""
        self._post("reset-auth", b"0")

    def keep(self) -> MotoProcess:
        """Keep all that was made as it is now, for `bring_back`."""
        kept = self._serving
        self._serving = kept.copy(self._listening)
        self._kept.append(kept)
        return kept

    def bring_back(self, kept: MotoProcess) -> None:
        """Hold what was kept, and nothing that was made since."""
        self._serving.end()
        self._serving = kept.copy(self._listening)

    def close(self) -> None:
        """End it, with all that was kept."""
        self._listening.close()
        for process in (self._serving, *self._kept):
            process.end()

    def _post(self, what: str, data: bytes | None = None) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        url = f"{self.url}/moto-api/{what}"
        request = urllib.request.Request(url, data, headers, method="POST")
        urllib.request.urlopen(request).close()

    def make_table(self, name: str) -> None:
        """Make an index table as bootstrap does."""
        texts = ("message_id", "month", "received_at")
        self.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in texts],
            KeySchema=[{"AttributeName": "message_id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_received",
                    "KeySchema": [
                        {"AttributeName": "month", "KeyType": "HASH"},
                        {"AttributeName": "received_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )

    def make_lists(self, name: str) -> None:
        """Make a table of lists as bootstrap does."""
        keys = (("list", "HASH"), ("line", "RANGE"))
        self.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n, _ in keys],
            KeySchema=[{"AttributeName": n, "KeyType": kind} for n, kind in keys],
        )

    def make_records(self, name: str) -> None:
        """Make a table of the webmail's records as bootstrap does."""
        self.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=RECORDS.attributes,
            KeySchema=RECORDS.schema,
        )

    def make_bucket(self, name: str) -> None:
        self.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )


@contextmanager
def moto() -> Iterator[Moto]:
    """Run the emulator for as long as the block runs."""
    running = Moto()
    try:
        yield running
    finally:
        running.close()
