"""A stack in the emulator with mail in it, and `postamt-sync webmail serve` before it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from postamt_sync.bootstrap.open_stack import handed_routes
from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.index.function import Indexer
from postamt_sync.mail.handed_routes import ROUTES_KEY
from tests.doubles.moto import Moto
from tests.doubles.notices import event, receipt
from tests.support import forked
from tests.support.household import configuration, configure
from tests.support.ports import reserved_port

SECRET = "correct horse battery staple"
MORE = """
[index]
table = "{table}"

[stack]
name = "{stack}"
"""


class WebmailStack:
    """Bucket, index and configuration of one household: anna (the default) and bruno."""

    def __init__(self, cloud: Moto, root: Path) -> None:
        self.cloud = cloud
        name = uuid.uuid4().hex[:12]
        self.bucket, self.table, self.name = f"mail-{name}", f"index-{name}", f"s{name}"
        cloud.make_bucket(self.bucket)
        cloud.make_table(self.table)
        more = MORE.format(table=self.table, stack=self.name)
        self.config = configure(root, configuration(root, more, bucket=self.bucket))
        self.lists = f"{self.table}-lists"
        cloud.make_lists(self.lists)
        routes = handed_routes(load(self.config, {})).to_json()
        said = {"version": "v", "filled": "v", "routes": routes}
        item = {**ROUTES_KEY, **{key: {"S": value} for key, value in said.items()}}
        cloud.client("dynamodb").put_item(TableName=self.lists, Item=item)
        self._indexer = Indexer(
            self.table,
            self.bucket,
            "incoming/",
            cloud.client("dynamodb"),
            cloud.client("s3"),
            lambda *_: None,
            self.lists,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "POSTAMT_"))},
            "AWS_ENDPOINT_URL": self.cloud.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "COLUMNS": "80",
        }

    def arrive(
        self,
        name: str,
        raw: bytes,
        *,
        to: Sequence[str] = ("anna@example.com",),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Store a mail and tell the index of it, as S3 and SES do."""
        key = f"incoming/{name}"
        stored = self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=raw)
        etag = stored["ETag"].strip('"')
        self._indexer.take(event(key, etag, len(raw), bucket=self.bucket))
        said = dict(headers or {"From": "a@b.example", "Subject": name})
        notification = json.loads(receipt(name, tuple(to), said, bucket=self.bucket))
        notification["receipt"]["dmarcVerdict"] = {"status": "PASS"}
        del notification["receipt"]["dmarcPolicy"]
        self._indexer.take(json.dumps(notification))

    def type(self, *words: str, given: str = "") -> tuple[int, str]:
        """Run a command in this process; return its exit code and what it said."""
        kept, stdin = dict(os.environ), sys.stdin
        os.environ.clear()
        os.environ.update(self.environment)
        sys.stdin = io.StringIO(given)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = run([*words, "--config", str(self.config)])
        finally:
            os.environ.clear()
            os.environ.update(kept)
            sys.stdin = stdin
        return code, said.getvalue()

    @contextlib.contextmanager
    def served(self, stop: signal.Signals = signal.SIGTERM) -> Iterator[str]:
        """Serve the webmail, and yield its address; `ended` is its exit code afterwards."""
        port = reserved_port()
        words = ("webmail", "serve", "--port", str(port), "--config", str(self.config))
        output = (self.config.parent / f"{port}.said", self.config.parent / f"{port}.log")
        process = forked.start(words, self.environment, self.config.parent, output)
        url = f"http://127.0.0.1:{port}/"
        try:
            while not (said := _text(output[0])).endswith("\n"):
                assert process.poll() is None, _text(output[1])
                time.sleep(0.02)
            assert said == f"The webmail is at {url}\n"
            yield url
        finally:
            process.send_signal(stop)
            self.ended = process.wait(30)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
