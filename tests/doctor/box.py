"""A box on which everything is well, its stack in an emulated account, for breaking one link."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from aiohttp import web

from postamt_sync.bootstrap.configuration import Home, configuration
from postamt_sync.bootstrap.dns.records import identities, records
from postamt_sync.bootstrap.open_stack import queue_urls
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.cli.main import run
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.errors import ExitCode
from tests.doubles.account import Account, stack
from tests.doubles.dns import NameServer
from tests.doubles.proxy import authority_and_leaf
from tests.doubles.sns import key_pem, private_key
from tests.support.new_ledger import new_ledger
from tests.support.ports import reserved_port

HOST = "localhost"
DOMAIN = "verified.example"
"""The emulator's SES verifies it at once."""


@dataclass
class Box:
    """The box; `find` types the command and returns what it found."""

    base: Path
    account: Account
    server: NameServer
    stack: Stack
    capsys: pytest.CaptureFixture[str]
    status: int = 405
    code: int = -1
    err: str = ""
    findings: list[dict[str, str]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.base / "config.toml"

    @property
    def maildir(self) -> Path:
        return self.base / f"mail/{DOMAIN}/anna/Maildir"

    async def find(self, *argv: str) -> list[dict[str, str]]:
        ours = ["--json", "--config", str(self.config), "--resolver", self.server.address]
        self.code = await asyncio.to_thread(run, ["doctor", *ours, *argv])
        captured = self.capsys.readouterr()
        self.err = captured.err
        assert captured.out, captured.err
        self.findings = json.loads(captured.out)["findings"]
        return self.findings

    async def failure(self, subject: str) -> dict[str, str]:
        """Return the only failure, which must be about `subject` and name a remedy."""
        failures = [f for f in await self.find() if f["outcome"] == "failure"]
        assert self.code == ExitCode.FINDINGS
        assert [f["subject"] for f in failures] == [subject], failures
        assert failures[0]["remedy"]
        return failures[0]

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@asynccontextmanager
async def well(
    base: Path,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Box]:
    """Set everything up as a person would have it."""
    trust = _certificates(base)
    for name, value in account.emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SSL_CERT_FILE", str(trust))
    async with NameServer() as server:
        wanted = stack(domains=(DOMAIN,))
        box = Box(base, account, server, wanted, capsys)
        async with _webhook(base, box) as url:
            box.stack = wanted = stack(domains=(DOMAIN,), public_url=url)
            await asyncio.to_thread(account.have, wanted)
            await asyncio.to_thread(_fill, box)
            yield box


def _fill(box: Box) -> None:
    aws = box.account.aws()
    for record in records(box.stack, identities(box.stack, aws)):
        box.server.add(record.name, record.type, record.data)
    state = box.base / "state"
    state.mkdir(mode=0o700)
    new_ledger(state).close()
    home = Home(["anna"], str(box.base / "mail"), str(state))
    text = configuration(box.stack, home, queue_urls(box.stack, aws))
    me = pwd.getpwuid(os.geteuid()).pw_name
    tls = str(box.base / "tls")
    box.config.write_text(
        f'{text}\n[home]\nmail_user = "{me}"\n'.replace("/etc/postamt-sync/tls", tls)
    )
    Maildir(box.maildir, Disk()).create()
    s3 = box.account.client("s3")
    for prefix in (box.stack.prefix, box.stack.recent_prefix):
        s3.put_object(Bucket=box.stack.bucket, Key=f"{prefix}m1", Body=b"Subject: x\r\n\r\n")


def _certificates(base: Path) -> Path:
    """Write the webhook's pair, and return the authority to trust."""
    (base / "tls").mkdir(parents=True)
    root, leaf = authority_and_leaf(HOST)
    (base / "tls/fullchain.pem").write_bytes(leaf)
    (base / "tls/privkey.pem").write_bytes(key_pem(private_key(9)))
    (base / "authority.pem").write_bytes(root)
    return base / "authority.pem"


@cache
def _port() -> int:
    """Return the webhook's port: the same for all boxes, so that one stack is theirs."""
    return reserved_port()


@asynccontextmanager
async def _webhook(base: Path, box: Box) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(base / "tls/fullchain.pem", base / "tls/privkey.pem")

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=box.status)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", _port(), ssl_context=context)
    await site.start()
    try:
        yield f"https://{HOST}:{runner.addresses[0][1]}/sns"
    finally:
        await runner.cleanup()
