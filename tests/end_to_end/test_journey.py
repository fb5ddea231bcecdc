"""From SES to the Maildir, with an AWS emulator and an SNS that signs: the whole way of a mail."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from postamt_sync.demo.cloud import Cloud
from postamt_sync.demo.daemon import DaemonProcess
from postamt_sync.demo.household import CopyLocation, Household
from postamt_sync.demo.samples import samples
from postamt_sync.demo.ses import Received, Ses
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Source, mail_id
from tests.doubles.emulator import LoadedEmulator
from tests.end_to_end.home import PATIENCE
from tests.support.ports import reserved_port


class Journeys:
    """SES on one side, the daemon's log lines on the other."""

    def __init__(self, household: Household, ses: Ses) -> None:
        self.household = household
        self.ses = ses
        self.lines: list[dict[str, Any]] = []
        self.daemon: DaemonProcess

    def hear(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    async def source(self, mail: Received) -> list[str]:
        """Return by which way it became known, once for each time that it was news.

        The line may reach us after the mail: they take different ways.
        """
        async with asyncio.timeout(PATIENCE):
            while not (known := [line["source"] for line in self.lines if _tells(line, mail)]):
                await asyncio.sleep(0.02)
        return known

    async def looked(self) -> None:
        """Wait until the daemon has been through the whole bucket."""
        async with asyncio.timeout(PATIENCE):
            while not any(line.get("source") == Source.RECONCILE for line in self.lines):
                await asyncio.sleep(0.02)

    async def settled(self, mail: Received) -> None:
        """Wait until the ledger knows it too, which comes after the file."""
        async with asyncio.timeout(PATIENCE):
            while not any(_settles(line, mail) for line in self.lines):
                await asyncio.sleep(0.02)

    async def arrived(self, mail: Received, *places: CopyLocation) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.household.places_of(mail.content) != sorted(places, key=str):
                await asyncio.sleep(0.02)


def _settles(line: dict[str, Any], mail: Received) -> bool:
    return line["event"] == "delivered" and str(line["mail"]) == mail_id(BUCKET, mail.key)


def _tells(line: dict[str, Any], mail: Received) -> bool:
    return bool(line["event"] == "announced" and line["key"] == mail.key)


@asynccontextmanager
async def journeys(root: Path) -> AsyncIterator[Journeys]:
    port = reserved_port()
    url = f"http://127.0.0.1:{port}/sns"
    async with Cloud(100, url, emulator=LoadedEmulator()) as cloud:
        await cloud.create()
        household = Household(root)
        household.configure(cloud.stack, cloud.queue_urls, port)
        made = Journeys(household, Ses(cloud, seed=1))
        environment = cloud.environment(os.environ)
        async with DaemonProcess(household.config, environment, household.log, made.hear) as daemon:
            made.daemon = daemon
            yield made


ANNA, BRUNO = CopyLocation("anna"), CopyLocation("bruno")
BUCKET = Cloud().bucket


async def test_announced_lost_repeated_and_blind_copied(tmp_path: Path) -> None:
    mails = {sample.title: sample for sample in samples()}
    plain, blind = mails["A plain letter"], mails["To Anna, Bcc to Bruno"]
    async with journeys(tmp_path) as way:
        receive = way.ses.receive
        await way.looked()

        announced = await receive(plain.message, plain.sender, plain.recipients)
        await way.arrived(announced, ANNA)
        assert await way.source(announced) == [Source.WEBHOOK]

        both = await receive(blind.message, blind.sender, blind.recipients)
        await way.arrived(both, ANNA, BRUNO)

        thrice = await receive(plain.message, plain.sender, plain.recipients, times=3)
        await way.arrived(thrice, ANNA)
        assert await way.source(thrice) == [Source.WEBHOOK]

        lost = await receive(plain.message, plain.sender, plain.recipients, lose_notifications=True)
        os.kill(way.daemon.pid, signal.SIGHUP)
        await way.arrived(lost, ANNA)
        assert await way.source(lost) == [Source.POLL]

        # The poll has seen all of it by now, and has found nothing new in what was announced.
        os.kill(way.daemon.pid, signal.SIGHUP)
        last = await receive(plain.message, plain.sender, plain.recipients)
        await way.arrived(last, ANNA)
        await way.settled(last)
        for mail, places in ((announced, [ANNA]), (both, [ANNA, BRUNO]), (thrice, [ANNA])):
            assert way.household.places_of(mail.content) == places
    ledger = Ledger.open_existing(tmp_path / "state")
    try:
        found = {state: number for state, number in ledger.overview.states().items() if number}
        assert found == {"delivered": 5, "skipped": 1}  # the object of SES's own trial
    finally:
        ledger.close()
