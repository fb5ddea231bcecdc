"""The webmail of the demo: `postamt-sync webmail serve` as a child process, and a client for it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from yarl import URL

from postamt_sync.demo.daemon import COMMAND, NOT_OURS, STOP_WITHIN
from postamt_sync.demo.held_port import hold_port
from postamt_sync.errors import TryLaterError

READY_WITHIN = 60.0
"""Seconds until the webmail answers, on a slow machine."""
LOOK_AGAIN = 0.05
"""Seconds between two attempts to connect to it."""


@dataclass(frozen=True, slots=True)
class Browser:
    """A signed-in browser that sends the requests of the page. Raises aiohttp.ClientError."""

    session: aiohttp.ClientSession
    headers: Mapping[str, str]

    async def get(self, path: str, **asked: str) -> dict[str, Any]:
        async with self.session.get(path, params=asked, headers=self.headers) as answer:
            answer.raise_for_status()
            said: dict[str, Any] = await answer.json()
            return said

    async def post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        async with self.session.post(path, json=fields, headers=self.headers) as answer:
            answer.raise_for_status()
            said: dict[str, Any] = await answer.json()
            return said

    async def mails(self, folder: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the mails in the list of a folder, newest first."""
        cursor = ""
        while True:
            page = await self.get("/api/mails", folder=folder, cursor=cursor)
            for mail in page["mails"]:
                yield mail
            cursor = page["cursor"]
            if not cursor:
                return


class DemoWebmail:
    """Serves the webmail while the context is open: every mailbox signs in with `secret`, and the
    first sees all mail.
    """

    def __init__(
        self,
        config: Path,
        environment: Mapping[str, str],
        mailboxes: Iterable[str],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.url = ""
        self.secret = secrets.token_hex(16)
        self.mailboxes = tuple(mailboxes)
        self._command = command
        self._config = config
        self._environment = {k: v for k, v in environment.items() if not k.startswith(NOT_OURS)}
        self._process: asyncio.subprocess.Process | None = None
        self._held: socket.socket | None = None

    async def __aenter__(self) -> Self:
        """Add the mailboxes, start, and return once it answers."""
        for number, name in enumerate(self.mailboxes):
            sees_all = ["--all"] if number == 0 else []
            adding = await self._start("user", "add", name, "--choose", *sees_all)
            out, _ = await adding.communicate(f"{self.secret}\n".encode())
            if adding.returncode:
                raise TryLaterError("The webmail cannot be used.", out.decode(errors="replace"))
        self._held = hold_port()
        port = self._held.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        answers = False
        try:
            self._process = process = await self._start("serve", "--port", str(port))
            async with asyncio.timeout(READY_WITHIN):
                answers = await self._answers(process, port)
        except TimeoutError:
            pass
        except BaseException:
            await self.__aexit__()
            raise
        if not answers:
            await self.__aexit__()
            assert process.stdout is not None
            said = (await process.stdout.read()).decode(errors="replace")
            what = " ".join(said.split()) or "nothing"
            raise TryLaterError("The webmail does not start.", f"See its output: {what}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._held is not None:
            self._held.close()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _answers(self, process: asyncio.subprocess.Process, port: int) -> bool:
        """Wait until it accepts connections; return False if it ends before that."""
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(LOOK_AGAIN)
            else:
                writer.close()
                return True
        return False

    async def subjects(self, mailbox: str, folder: str = "inbox") -> list[str]:
        """Sign in as one mailbox, and return the subjects in its list, newest first."""
        async with self.signed_in(mailbox) as browser:
            return [str(mail["subject"]) async for mail in browser.mails(folder)]

    @asynccontextmanager
    async def signed_in(self, mailbox: str) -> AsyncIterator[Browser]:
        """Sign in as one mailbox, for as long as the context is open."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(
            URL(self.url), headers={"Origin": self.url.rstrip("/")}, cookie_jar=jar
        ) as session:
            signing = {"mailbox": mailbox, "secret": self.secret}
            async with session.post("/api/sign-in", json=signing) as answer:
                answer.raise_for_status()
                # A browser sends a Secure cookie to loopback without TLS; aiohttp does not.
                cookie = answer.headers["Set-Cookie"].partition(";")[0]
            yield Browser(session, {"Cookie": cookie})

    async def _start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(*self._command, "webmail", *words, "--config", str(self._config)),
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
