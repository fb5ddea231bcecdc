"""Remembers the headers by which people know their mail, in the background of the delivery.

What is known while a mail comes in (a receipt, the header block) is buffered and written some
seconds later, many at once. What was missed, because too much came or the process ended, is read
from the Maildirs, newest mail first, with pauses as long as the work. Delivery never waits for
this, and it is delivery that reports a ledger or a disk that fails.

    remember_headers = true     filled, and completed from the Maildirs at the start and once a day
    remember_headers = false    erased, and nothing is buffered
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from postamt_sync.awaiting import in_own_thread
from postamt_sync.config import LiveSettings
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.disk import open_mail
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.lmtp import Spool
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.maildir_scan import our_names
from postamt_sync.errors import PostamtError
from postamt_sync.ledger.remembered_headers import MailHeader, RememberedHeaders
from postamt_sync.mail.header_block import header_block
from postamt_sync.status.mail_header import LONGEST_HEAD, header_of_head, header_of_receipt

MOST_ASIDE = 500
"""The number of headers that are buffered; those of further mails are read from files later."""
WRITE_EVERY = 2.0
FIRST_LOOK_AFTER = 30.0
"""Seconds from the start, which has more urgent things to do, to the first look."""
LOOK_EVERY = 86_400.0
NAMES = 1_000
"""The number of file names that are compared with the ledger at once."""
FILES = 50
"""The number of files that are read at once."""
MOST = 20_000
"""The number of files of a Maildir, newest first, that one look handles; the next look goes on."""

_T = TypeVar("_T")
_Found = tuple[float, str, Path]
"""When S3 stored a mail, its ID, and its file."""


class HeaderMemory:
    """Fills and erases the headers in the ledger. Any thread may call `heard` and `told`."""

    def __init__(
        self,
        live: LiveSettings,
        headers: RememberedHeaders,
        destinations: Callable[[], Destinations],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._live = live
        self._headers = headers
        self._destinations = destinations
        self._clock = clock
        self._sleep = sleep
        self._aside: deque[Callable[[], MailHeader]] = deque(maxlen=MOST_ASIDE)
        self._next_look = clock() + FIRST_LOOK_AFTER
        self._erased = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stirred = asyncio.Event()
        live.on_change(self._stir)

    @property
    def is_wanted(self) -> bool:
        return self._live.current.delivery.remember_headers

    def heard(self, mail: str, stored_at: float, head: bytes) -> None:
        """Buffer the beginning of a mail being fetched; `stored_at` in seconds since 1970."""
        if self.is_wanted:
            block = header_block(head)
            # With the line that ends it, but without the part of the body that came along.
            longest = LONGEST_HEAD if block is None else min(len(block) + 2, LONGEST_HEAD)
            self._put_aside(partial(header_of_head, mail, stored_at, head[:longest]))

    def told(self, mail: str, receipt: Mapping[str, object]) -> None:
        """Buffer what the receipt of a mail says about its header."""
        said = receipt.get("mail")
        if self.is_wanted and isinstance(said, dict):
            self._put_aside(partial(header_of_receipt, mail, _moment(said), said))

    def _put_aside(self, header: Callable[[], MailHeader]) -> None:
        if len(self._aside) == MOST_ASIDE:
            # Soon, unless more comes in than can be written anyway.
            self._next_look = self._clock() + FIRST_LOOK_AFTER
        self._aside.append(header)
        self._stir()

    def _stir(self) -> None:
        """Have a round soon; does nothing if one is due already."""
        if self._loop is not None and not self._stirred.is_set():
            self._loop.call_soon_threadsafe(self._stirred.set)

    async def run(self) -> None:
        """Run until cancelled: start a round if something is buffered, or a look is due."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._sleep(WRITE_EVERY)
            try:
                await self.write()
                if self.is_wanted and self._clock() >= self._next_look:
                    self._next_look = self._clock() + LOOK_EVERY
                    await self.complete()
            except PostamtError:  # the courier needs the same ledger, and reports this
                self._next_look = min(self._next_look, self._clock() + FIRST_LOOK_AFTER)
            await self._rest()

    async def _rest(self) -> None:
        seconds = None if self._erased else max(0.0, self._next_look - self._clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        self._stirred.clear()

    async def write(self) -> None:
        """Write what is buffered, or erase all headers if none are to be remembered.

        Raises PostamtError as the ledger does; what was buffered is then left to a later look.
        """
        if not self.is_wanted:
            self._aside.clear()
            if not self._erased:
                await asyncio.to_thread(self._headers.erase)
                self._erased, self._next_look = True, self._clock()
            return
        self._erased = False
        aside = [self._aside.popleft() for _ in range(len(self._aside))]
        if aside:
            await asyncio.to_thread(self._put, aside)

    def _put(self, aside: Sequence[Callable[[], MailHeader]]) -> int:
        return self._headers.put([header() for header in aside])

    async def complete(self) -> None:
        """Read what the ledger lacks from the Maildirs; skip those that cannot be read.

        Raises PostamtError as the ledger does.
        """
        mailboxes = self._destinations().mailboxes
        for name in mailboxes.names:
            maildir = mailboxes.find(name)
            if isinstance(maildir, Spool):  # Dovecot names the files itself
                continue
            while await self._complete(maildir):
                pass

    async def _complete(self, maildir: Maildir) -> bool:
        """Handle the newest files of a Maildir; return whether another look will find more."""
        newest = await self._lacking(maildir)
        added = 0
        for start in range(0, len(newest), FILES):
            if not self.is_wanted:
                return False
            begun = time.monotonic()
            some = newest[start : start + FILES]
            heads = await _asked(partial(maildir.call, _read_heads, some))
            added += await asyncio.to_thread(self._put, heads or ())
            await self._sleep(time.monotonic() - begun)
        return added > 0 and len(newest) == MOST

    async def _lacking(self, maildir: Maildir) -> list[_Found]:
        """Return the newest mails in a Maildir whose header is not remembered, newest first."""
        newest: list[_Found] = []
        batches = maildir.batches(_names(maildir.root), NAMES)
        while batch := await _asked(partial(next, batches, None)):
            begun = time.monotonic()
            lacking = await asyncio.to_thread(self._headers.lacking, {mail for _, mail, _ in batch})
            newest = heapq.nlargest(
                MOST, [*newest, *(each for each in batch if each[1] in lacking)]
            )
            await self._sleep(time.monotonic() - begun)
        return newest


def _moment(said: Mapping[str, object]) -> float:
    """Return when SES received a mail, or the present time if its receipt does not say."""
    try:
        return datetime.fromisoformat(str(said.get("timestamp"))).timestamp()
    except (ValueError, OverflowError):
        return time.time()


def _names(root: Path) -> Iterator[_Found]:
    for _, entry, ours in our_names(root):
        name = parse_name(ours)
        if name is not None and not name.is_letter:
            yield name.stored_at, name.mail_id, Path(entry.path)


def _read_heads(found: Iterable[_Found]) -> list[Callable[[], MailHeader]]:
    """Return what is to be remembered; files that were moved a moment ago are skipped."""
    heads: list[Callable[[], MailHeader]] = []
    for stored_at, mail, path in found:
        try:
            with open_mail(path) as file:
                head = file.read(LONGEST_HEAD)
        except OSError:
            continue
        heads.append(partial(header_of_head, mail, stored_at, head))
    return heads


async def _asked(call: Callable[[], _T]) -> _T | None:
    """Return what a disk answers, None if it does not; its thread does not delay the exit."""
    try:
        return await in_own_thread(call)
    except (OSError, PostamtError):  # it hangs, or is not mounted: a later look will do
        return None
