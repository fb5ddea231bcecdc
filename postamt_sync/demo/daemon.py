"""The real daemon as a child process, and the journey of each mail by its JSON log lines."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from postamt_sync.errors import TryLaterError

READY_WITHIN = 60.0
"""Seconds from the start until the subscription is confirmed, on a slow machine."""

STOP_WITHIN = 10.0
LONGEST_LINE = 1 << 20
NOT_OURS = ("POSTAMT_SYNC_", "LISTEN_", "NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_")
"""Variables that would turn the child into something other than the demo's daemon."""

COMMAND = (sys.executable, "-m", "postamt_sync")

Hear = Callable[[dict[str, Any]], None]
"""Takes one log line of the daemon."""


class DaemonProcess:
    """One `postamt-sync run`, stopped on leaving the context. Its lines are kept in `log`.

    `command` is the program that is called with `run --config PATH --debug`.
    """

    def __init__(
        self,
        config: Path,
        environment: Mapping[str, str],
        log: Path,
        hear: Hear,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._command = command
        self._config = config
        self._environment = {k: v for k, v in environment.items() if not k.startswith(NOT_OURS)}
        self._log = log
        self._hear = hear
        self._ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start, and return once SNS's subscription is confirmed."""
        self._process = await asyncio.create_subprocess_exec(
            *(*self._command, "run", "--config", str(self._config), "--debug"),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            # A Ctrl-C in the terminal is for the demo, which then stops the daemon properly.
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read())
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait(
                {ready, self._reader}, timeout=READY_WITHIN, return_when=asyncio.FIRST_COMPLETED
            )
        except BaseException:  # Ctrl-C while it starts must not leave it behind
            await self.__aexit__()
            raise
        finally:
            ready.cancel()
        if not self._ready.is_set():
            await self.__aexit__()
            raise TryLaterError(
                "The daemon did not get its webhook confirmed.", f"See what it says in {self._log}"
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_WITHIN)
            except TimeoutError:
                self._process.kill()
        await self._ended()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        """End it as a power failure would, in the middle of its work."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._ended()

    async def _ended(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with self._log.open("ab") as log:
            async for line in self._process.stderr:
                log.write(line)
                log.flush()
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(event, dict):
                    continue
                if event.get("event") == "subscription confirmed":
                    self._ready.set()
                self._hear(event)


@dataclass(slots=True)
class Journey:
    """One mail: when each step was first seen (seconds since 1970), and its details."""

    steps: dict[str, float] = field(default_factory=dict)
    source: str = ""
    """What announced it first, such as webhook or poll."""
    evidence: str = ""
    """Which evidence decided who gets it."""
    mailboxes: list[str] = field(default_factory=list)
    """The mailboxes it was delivered to; twice in the list if it was delivered twice."""


class Journeys:
    """All mails, by the `mail` id of the log lines."""

    def __init__(self) -> None:
        self._by_mail: dict[str, Journey] = {}

    def of(self, mail: str) -> Journey:
        return self._by_mail.setdefault(mail, Journey())

    def hear(self, event: dict[str, Any]) -> None:
        """Take one log line of the daemon; ignore lines that are not about a mail."""
        mail, name = event.get("mail"), event.get("event")
        if not isinstance(mail, str) or not isinstance(name, str):
            return
        journey = self.of(mail)
        at = _seconds(event.get("time"))
        if name == "delivered":
            journey.mailboxes.append(str(event.get("mailbox", "")))
            journey.steps[name] = at
        else:
            journey.steps.setdefault(name, at)
        if name == "announced":
            journey.source = journey.source or str(event.get("source", ""))
        if name == "routed":
            journey.evidence = str(event.get("evidence", ""))


def _seconds(stamp: object) -> float:
    try:
        return dt.datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return dt.datetime.now(dt.UTC).timestamp()
