"""What else meets a ledger that is lost in use: another process, a queue, and systemd's socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.mail.arrival import Arrival, Envelope, Source
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, BRUNO, COMMAND
from tests.end_to_end.test_daemon import ACTIVATED
from tests.end_to_end.test_queue import QUEUE, on_the_way
from tests.end_to_end.test_queue import started as started_with_queue
from tests.end_to_end.webhooks import Reachable, reachable
from tests.faults.test_ledger_replaced import Mails, empty_the_directory, soon, started

LEDGER = "ledger.sqlite3"


@pytest.fixture
async def household(tmp_path: Path, s3: S3Double) -> AsyncIterator[Reachable]:
    async with reachable(tmp_path, s3.environment()) as home:
        yield home


async def test_it_waits_for_whoever_delivers_meanwhile_and_learns_from_it(
    household: Reachable, s3: S3Double
) -> None:
    home, mails = household, Mails(household, s3)
    daemon = await started(home)
    for number in range(5):
        await mails.announce(number)
    empty_the_directory(home.state, home.root)
    with CourierLock(home.state, "sync"):
        await asyncio.to_thread(daemon.until, "the ledger cannot be opened, will try again")
        # It has taken an announcement that nobody will hear again, and did not come to deliver it.
        with closing(Ledger.open(home.state)) as other:
            other.arrivals.record(
                [Arrival("mail", "incoming/theirs", Source.QUEUE, envelope=Envelope((BRUNO,)))]
            )
        s3.put("incoming/theirs", Mails.body(99))
    for number in range(5, 10):
        await mails.announce(number)
    wanted = mails.expected("anna", "bruno") + Counter({("bruno", Mails.body(99)): 1})
    await soon(lambda: home.contents() == wanted, daemon.tail)
    assert daemon.stop() == 0
    assert home.sync()[0] == 0
    assert home.contents() == wanted


async def test_a_message_stays_in_the_queue_until_the_ledger_has_it(tmp_path: Path) -> None:
    async with on_the_way(tmp_path) as way:
        url = await asyncio.to_thread(way.subscribed_queue)
        way.home.configure(QUEUE.format(url=url, topic=way.cloud.topic_arn, long_poll="true"))
        way.gate.visibility = 1
        daemon = await started_with_queue(way)
        mails = []
        for number in range(12):
            if number == 6:
                for path in way.home.state.glob(f"{LEDGER}*"):
                    path.unlink()
            mails.append(await way.receive(ANNA, BRUNO))
        for mail in mails:
            await way.arrived(daemon, mail, "anna", "bruno")
        await way.emptied(daemon, url)
        assert daemon.events("the saved ledger is in place again")
        assert daemon.process.poll() is None
        assert await asyncio.to_thread(daemon.stop) == 0
        way.once_each(*((box, mail) for mail in mails for box in ("anna", "bruno")))


async def test_the_port_of_systemd_stays_open(household: Reachable, s3: S3Double) -> None:
    mails = Mails(household, s3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        household.port = listening.getsockname()[1]
        command = (*COMMAND[1:], "run", "--debug", "--config", str(household.config))
        daemon = household.start("-c", ACTIVATED, str(fd), *command, pass_fds=(fd,))
    await mails.announce(0)
    for path in household.state.glob(f"{LEDGER}*"):
        path.unlink()
    again = household.notification("incoming/00000", ANNA, BRUNO)
    async with aiohttp.ClientSession() as session:
        answer = 503
        while answer == 503:
            await asyncio.sleep(0.05)
            # A kept connection may be closed under a request; SNS, as we here, tries it again.
            with contextlib.suppress(aiohttp.ServerDisconnectedError, ConnectionResetError):
                answer = await household.post(session, again)
    assert daemon.events("the saved ledger is in place again")
    await soon(lambda: household.contents() == mails.expected("anna", "bruno"), daemon.tail)
    assert daemon.stop() == 0
