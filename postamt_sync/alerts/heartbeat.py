"""The heartbeat: a watcher elsewhere hears of every poll that succeeded, and of silence by itself.

What cannot be said when the box is off or its line is down is said by the watcher, when nothing has
come for a while. The path of its address is all that it knows us by, as good as a password: no line
of ours shows more than the host.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp

from postamt_sync.config import LiveSettings
from postamt_sync.config.listen import is_loopback
from postamt_sync.events import Events

SECONDS = 10.0
"""For one beat, from the name to the status; another comes with the next poll."""


class Heartbeat:
    """Asks for `poll.heartbeat_url` after each poll. Nothing waits for it or fails by it."""

    def __init__(self, live: LiveSettings, events: Events, *, seconds: float = SECONDS) -> None:
        self._live = live
        self._events = events
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._due = asyncio.Event()
        self._reason: str | None = None

    @property
    def failing(self) -> bool | None:
        """Whether the last beat did not arrive; None: there was none."""
        return bool(self._reason) if self._url and self._reason is not None else None

    def soon(self) -> None:
        """A poll succeeded. While a beat is under way, one more follows it at most."""
        self._due.set()

    async def run(self) -> None:
        """Beat until cancelled."""
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
        """Return "", or why it did not arrive; the sentence never contains the address."""
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
