"""The heartbeat: a monitoring service elsewhere is called after every poll that succeeded.

When the box is off or its line is down, it cannot say so; the service does, after it has not been
called for a while. The path of its URL identifies us, and is as good as a password: nothing of ours
shows more than the host.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp

from postamt_sync.config import LiveSettings
from postamt_sync.config.listen import is_loopback
from postamt_sync.events import Events

SECONDS = 10.0
"""Seconds for one beat, from resolving the name to the status. The next poll sends another."""


class Heartbeat:
    """Requests `poll.heartbeat_url` after polls. Nothing waits for it, or fails because of it."""

    def __init__(self, live: LiveSettings, events: Events, *, seconds: float = SECONDS) -> None:
        self._live = live
        self._events = events
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._due = asyncio.Event()
        self._reason: str | None = None

    @property
    def failing(self) -> bool | None:
        """Whether the last beat failed, None if there was none."""
        return bool(self._reason) if self._url and self._reason is not None else None

    def soon(self) -> None:
        """Send a beat, as a poll has succeeded. During one, any number asks for just one more."""
        self._due.set()

    async def run(self) -> None:
        """Send beats until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            if url := self._url:
                await self._beat(url)

    @property
    def _url(self) -> str:
        return self._live.current.poll.heartbeat_url

    async def _beat(self, url: str) -> None:
        reason = await self._ask(url)
        if reason != self._reason:
            self._reason = reason
            host = urlsplit(url).hostname or ""
            if reason:
                self._events.heartbeat_failed(host, reason)
            else:
                self._events.heartbeat_arrives(host)

    async def _ask(self, url: str) -> str:
        """Return why the beat failed, "" if it did not. The sentence never contains the URL."""
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=self._timeout,
                    trust_env=not is_loopback(urlsplit(url).hostname or ""),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers={"User-Agent": "postamt-sync"},
                ) as session,
                session.get(url, allow_redirects=False) as answer,
            ):
                status = answer.status
        except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on
            return _why(error)
        if 300 <= status < 400:
            return f"It redirects ({status}), which is not followed: use the final address."
        return "" if status < 300 else f"It answered {status}."


def _why(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "No answer came in time."
        case aiohttp.ClientConnectorDNSError():
            return "Its host name does not resolve."
        case aiohttp.ClientSSLError():
            return "Its certificate is not trusted."
        case aiohttp.ClientConnectorError():
            return f"It cannot be reached ({error.strerror})."
        case _:
            return f"It cannot be asked ({type(error).__name__})."
