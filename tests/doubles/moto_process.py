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
from werkzeug.test import Client

from postamt_sync.demo.emulator import extend_moto

COPY, SERVING = b"copy", b"serving"
SERVICES = {
    "acm": "CertificateManager.ListCertificates",
    "apigatewayv2": "/v2/apis",
    "cloudfront": "/2020-05-31/distribution",
    "cloudwatch": "Action=ListMetrics&Version=2010-08-01",
    "dynamodb": "DynamoDB_20120810.ListTables",
    "iam": "Action=ListPolicies&Version=2010-05-08&Scope=Local",
    "lambda": "/2015-03-31/functions/",
    "logs": "Logs_20140328.DescribeLogGroups",
    "route53": "/2013-04-01/hostedzone",
    "s3": "/",
    "ses": "Action=ListIdentities&Version=2010-12-01",
    "sesv2": "/v2/email/contact-lists",
    "sns": "Action=ListTopics&Version=2010-03-31",
    "sqs": "AmazonSQS.ListQueues",
    "ssm": "AmazonSSM.DescribeParameters",
    "sts": "Action=GetCallerIdentity&Version=2011-06-15",
}
"""Each with a call that changes nothing: its path, its form or its target."""
TARGET = "X-Amz-Target"
SIGNED_AS = {"apigatewayv2": "apigateway", "cloudwatch": "monitoring", "sesv2": "ses"}
SIGNATURE = "AWS4-HMAC-SHA256 Credential=testing/20261101/eu-west-1/{}/aws4_request, Signature=0"


class Dispatcher(DomainDispatcherApplication):
    """Looks once which service a host is; moto would look through its directory each time."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._services: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        if host not in self._services:
            self._services[host] = super().get_backend_for_host(host)
        return self._services[host]


class Copied:
    """This process."""

    def __init__(self) -> None:
        self._app = Dispatcher()
        self._server: BaseWSGIServer | None = None
        self._thread = threading.Thread()

    def load(self) -> None:
        """Load each service, so that no copy has to."""
        for service, what in SERVICES.items():
            self._app.app_instances[service] = create_backend_app(service)
            get_service_model(service)
            self._ask(service, what)
        gc.collect()
        gc.freeze()  # else each copy would look through all of it for garbage, and so own it

    def _ask(self, service: str, what: str) -> None:
        """Ask a service once: what it makes for its first answer, each copy has."""
        headers = {"Authorization": SIGNATURE.format(SIGNED_AS.get(service, service))}
        client = Client(self._app)
        if what.startswith("/"):
            client.get(what, headers=headers)
        elif what.startswith("Action="):
            form = "application/x-www-form-urlencoded"
            client.post("/", data=what, content_type=form, headers=headers)
        else:
            json = "application/x-amz-json-1.1"
            client.post("/", data="{}", content_type=json, headers={**headers, TARGET: what})

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
