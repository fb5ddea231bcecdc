"""moto in processes that are copied: what one of them holds is had again without being made again.

    python -m tests.doubles.moto_process FD

The first process loads all that is slow and serves nobody. Each has a control socket: `copy` with a
new control socket and a listening one makes a process that serves there and holds the same; the one
that was copied serves no more. A process ends when its control socket is closed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from typing import Any

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

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self._thread = threading.Thread()

    def load(self) -> None:
        """Load each service, so that no copy has to."""
        for service in SERVICES:
            self._app.app_instances[service] = create_backend_app(service)
            get_service_model(service)

    def obey(self) -> None:
        """Make copies as asked, in the process that was asked and in each copy."""
        while True:
            said, descriptors, _, _ = socket.recv_fds(self._control, 16, 2)
            if said != COPY:
                return
            self._rest()
            control, listening = descriptors
            if os.fork() == 0:
                self._control.close()
                self._control = socket.socket(fileno=control)
                self._serve(listening)
                self._control.send(SERVING)
            else:
                os.close(control)
            os.close(listening)

    def _serve(self, listening: int) -> None:
        app: Any = self._app
        self._server = make_server(
            "127.0.0.1", 0, app, True, request_handler=MotoRequestHandler, fd=listening
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
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
    first = Copied(socket.socket(fileno=int(sys.argv[1])))
    first.load()
    first.obey()
    os._exit(0)


if __name__ == "__main__":
    main()
