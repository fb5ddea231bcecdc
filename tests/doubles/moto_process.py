"""moto in processes that are copied: what one of them holds is had again without being made again.

    python -m tests.doubles.moto_process FD

The first process loads all that is slow and serves nobody. Who connects to the socket FD has a
control socket of it: `copy` with another control socket and a listening one makes a process that
serves there and holds the same, and obeys in the same way; one that was copied serves no more. A
copy ends when its control socket is closed, the first when all of its own are.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, NoReturn

from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from postamt_sync.demo.emulator import extend_moto

COPY, SERVING = b"copy", b"serving"
SERVICES = (
    *("acm", "apigatewayv2", "cloudfront", "cloudwatch", "dynamodb", "iam", "lambda", "logs"),
    *("route53", "s3", "ses", "sesv2", "sns", "sqs", "ssm", "sts"),
)


class Copied:
    """This process."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self._thread = threading.Thread()

    def load(self) -> None:
        """Load each service, so that no copy has to."""
        for service in SERVICES:
            self._app.app_instances[service] = create_backend_app(service)
            get_service_model(service)
        gc.collect()
        gc.freeze()  # else each copy would look through all of it for garbage, and so own it

    def obey_all(self, listening: socket.socket) -> None:
        """Make copies for all who connect, until the last of them has gone."""
        controls: list[socket.socket] = []
        with selectors.PollSelector() as selector:
            selector.register(listening, selectors.EVENT_READ, None)
            while True:
                for ready, _ in selector.select():
                    if ready.data is None:
                        control, _ = listening.accept()
                        selector.register(control, selectors.EVENT_READ, control)
                        controls.append(control)
                    elif not self._copy(ready.data, [listening, *controls]):
                        selector.unregister(ready.data)
                        ready.data.close()
                        controls.remove(ready.data)
                        if not controls:
                            return

    def _copy(self, control: socket.socket, ours: Iterable[socket.socket]) -> bool:
        """Wait for a word, and make a copy if it says so; False when no more will be asked.

        Of our own sockets the copy has none.
        """
        said, descriptors, _, _ = socket.recv_fds(control, 16, 2)
        if said != COPY:
            return False
        self._rest()
        another, listening = descriptors
        if os.fork() == 0:
            for each in ours:
                each.close()
            self._live(socket.socket(fileno=another), listening)
        os.close(another)
        os.close(listening)
        return True

    def _live(self, control: socket.socket, listening: int) -> NoReturn:
        """Be a copy."""
        self._serve(listening)
        os.close(listening)
        control.send(SERVING)
        while self._copy(control, [control]):
            pass
        os._exit(0)

    def _serve(self, listening: int) -> None:
        app: Any = self._app
        self._server = make_server(
            "127.0.0.1", 0, app, True, request_handler=MotoRequestHandler, fd=listening
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def _rest(self) -> None:
        """Serve nobody: a copy has one thread, and must find no lock taken by another."""
        if self._server is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None
        while threading.active_count() > 1:
            time.sleep(0.001)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which closes the socket
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no copy is waited for
    extend_moto()
    first = Copied()
    first.load()
    first.obey_all(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)


if __name__ == "__main__":
    main()
