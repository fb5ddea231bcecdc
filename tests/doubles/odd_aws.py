"""AWS as a captive portal, a broken proxy or an emulator lets one see it: answers of any shape.

Right answers are the smallest that AWS's API reference allows. One server stands for all services,
each of which can be given a shape of its own.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from tests.support.http_server import served

LOGIN_PAGE = b"<!DOCTYPE html><html><body><p>Please log in</body></html>"
DATA_KEY = bytes(range(32))
METRIC = {
    "Namespace": "AWS/SES",
    "MetricName": "PublishFailure",
    "Dimensions": [{"Name": "RuleName", "Value": "postamt"}],
}
SUBSCRIPTION = "arn:aws:sns:eu-west-1:123456789012:postamt:5be8f5b0-0000"


@dataclass(frozen=True)
class Shape:
    """What is answered to everything: `raw` in place of HTTP, `drip` forever after the body."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    reset: bool = False
    drip: bool = False


XML = (("Content-Type", "text/xml"),)
JSON = (("Content-Type", "application/x-amz-json-1.0"),)
SHAPES = {
    "login page": Shape(body=LOGIN_PAGE, headers=(("Content-Type", "text/html"),)),
    "nothing": Shape(),
    "null": Shape(body=b"null", headers=JSON),
    "a list": Shape(body=b"[1]", headers=JSON),
    "a text": Shape(body=b'"ok"', headers=JSON),
    "a number": Shape(body=b"7", headers=JSON),
    "another object": Shape(body=b'{"ok": true}', headers=JSON),
    "members of other types": Shape(
        body=b'{"Messages": [null, 3], "Failed": 1, "Responses": 5, "UnprocessedKeys": [null]}',
        headers=JSON,
    ),
    "null members": Shape(
        body=b'{"Messages": null, "Responses": {"index": [null]}, "UnprocessedKeys": null}',
        headers=JSON,
    ),
    "cut off JSON": Shape(body=b'{"Messages": [{"Body', headers=JSON),
    "cut off XML": Shape(body=b"<SubscribeResponse><SubscribeRes", headers=XML),
    "XML without what was asked": Shape(
        body=b'<SubscribeResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"/>', headers=XML
    ),
    "another XML": Shape(body=b"<a><b>c</b></a>", headers=XML),
    "no UTF-8": Shape(body=b"\xff\xfe\x00caf\xe9", headers=JSON),
    "deep JSON": Shape(body=b"[" * 100_000, headers=JSON),
    "redirected": Shape(302, LOGIN_PAGE, (("Location", "http://127.0.0.1:9/login"),)),
    "redirected nowhere": Shape(307),
    "forbidden by null": Shape(403, b"null", JSON),
    "refused by a list": Shape(400, b"[]", JSON),
    "an error of numbers": Shape(400, b'{"__type": 5, "message": {"a": 1}}', JSON),
    "login required": Shape(511, LOGIN_PAGE, (("Content-Type", "text/html"),)),
    "broken gzip": Shape(body=b"\x1f\x8bnothing", headers=(("Content-Encoding", "gzip"),)),
    "short of its length": Shape(body=b"{", headers=(("Content-Length", "4000"), *JSON)),
    "garbage in the headers": Shape(raw=b"HTTP/1.1 200 OK\r\n\x00\xff\xfe\r\nno header\r\n\r\n{}"),
    "no HTTP": Shape(raw=b"220 mail.example ESMTP\r\n"),
    "reset": Shape(reset=True),
    "endless": Shape(body=b"{", drip=True),
}


SERVICES = ("sns", "sqs", "dynamodb", "cloudwatch", "kms", "s3", "other")


class OddAws:
    """`shapes` by service (sns, sqs, dynamodb, ...), or by operation; what has none is answered
    rightly."""

    def __init__(self) -> None:
        self.url = ""
        self.shapes: dict[str, Shape] = {}
        self.asked: Counter[str] = Counter()
        """Requests by operation."""

    def everywhere(self, shape: Shape) -> None:
        """Answer whatever anybody asks with this."""
        self.shapes = dict.fromkeys(SERVICES, shape)

    def heal(self) -> None:
        self.shapes = {}

    def environment(self, *services: str) -> dict[str, str]:
        """What leads another process here, S3 excepted."""
        return {f"AWS_ENDPOINT_URL_{service.upper()}": self.url for service in services}


def _right(operation: str) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    json_answers = {
        "ReceiveMessage": {},
        "DeleteMessageBatch": {"Successful": [{"Id": "0"}], "Failed": []},
        "ChangeMessageVisibilityBatch": {"Successful": [{"Id": "0"}], "Failed": []},
        "BatchGetItem": {"Responses": {"index": []}, "UnprocessedKeys": {}},
        "ListMetrics": {"Metrics": [METRIC]},
        "GetMetricStatistics": {"Label": "PublishFailure", "Datapoints": []},
        "Decrypt": {"KeyId": "key", "Plaintext": base64.b64encode(DATA_KEY).decode()},
    }
    if operation in json_answers:
        return json.dumps(json_answers[operation]).encode(), JSON
    arn = f"<SubscriptionArn>{SUBSCRIPTION}</SubscriptionArn>"
    inside = {
        "Subscribe": arn,
        "ConfirmSubscription": arn,
        "GetSubscriptionAttributes": "<Attributes><entry><key>PendingConfirmation</key>"
        "<value>false</value></entry></Attributes>",
    }.get(operation, "")
    body = (
        f'<{operation}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
        f"<{operation}Result>{inside}</{operation}Result>"
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
    )
    return body.encode(), XML


_TARGETS = {"DynamoDB": "dynamodb", "Granite": "cloudwatch", "Trent": "kms"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: OddAws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
        if target:
            service = next((name for word, name in _TARGETS.items() if word in target), "sqs")
        elif "restore" in self.path:
            service, operation = "s3", "RestoreObject"
        else:
            form = parse_qs(body.decode(errors="replace"))
            service, operation = "sns", form.get("Action", [""])[0]
        if operation in ("ListMetrics", "GetMetricStatistics"):
            service = "cloudwatch"
        self.double.asked[operation] += 1
        shapes = self.double.shapes
        self._answer(shapes.get(operation) or shapes.get(service), operation)

    def do_GET(self) -> None:
        self.double.asked["GET"] += 1
        self._answer(self.double.shapes.get("other"), "GET")

    def _answer(self, shape: Shape | None, operation: str) -> None:
        if shape is None:
            body, headers = _right(operation)
            shape = Shape(body=body, headers=headers)
        self.close_connection = True
        if shape.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        with suppress(OSError):
            if shape.raw is not None:
                self.wfile.write(shape.raw)
                return
            self.send_response_only(shape.status)
            for name, value in shape.headers:
                self.send_header(name, value)
            self.send_header("Connection", "close")
            if not shape.drip and "Content-Length" not in dict(shape.headers):
                self.send_header("Content-Length", str(len(shape.body)))
            self.end_headers()
            self.wfile.write(shape.body)
            while shape.drip and self.double.shapes:
                time.sleep(0.2)
                self.wfile.write(b" ")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A connection that was reset is what was wanted."""


@contextmanager
def odd_aws() -> Iterator[OddAws]:
    double = OddAws()
    handler = type("Handler", (_Handler,), {"double": double})
    server = _Server(("127.0.0.1", 0), handler)
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    with served(server):
        try:
            yield double
        finally:
            double.heal()
