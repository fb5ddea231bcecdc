"""A pass ends when nothing is due any more, and not before."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from postamt_sync.delivery.courier import Courier
from tests.delivery.home import Home

BODY = b"Subject: x\r\n\r\nmail\r\n"


class SlowToLook:
    """The ledger's work, which is slow to say what is due while a mail is on its way."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def due(self, now: float, limit: int, busy: Collection[str]) -> Any:
        due = self._real.due(now, limit, frozenset(busy))
        while busy:  # the courier's own: what ends leaves it
            time.sleep(0.001)
        return due


class LedgerOf:
    def __init__(self, work: SlowToLook) -> None:
        self.work = work


async def test_a_mail_that_is_due_again_while_we_look_is_not_left_behind(home: Home) -> None:
    home.announce("k", "anna", etag="0" * 32)  # changed since: it is looked at again
    home.bucket.put("k", BODY)
    work = SlowToLook(home.ledger.work)
    ledger: Any = LedgerOf(work)
    courier = Courier(ledger, home.bucket, lambda: home.destinations, home.events)
    await courier.run(until_idle=True)
    assert home.bodies("anna") == [BODY]
