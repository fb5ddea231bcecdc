"""What was sent in the webmail, through every loss: once in Sent, in the way of no other mail."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from postamt_sync.app.recovery_components import make_rebuild, make_restore
from postamt_sync.app.sync import SyncOptions
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.mail.sent_mail import sent_key
from postamt_sync.recovery.difference import Difference
from postamt_sync.recovery.verify import Comparison
from tests.doubles.s3 import S3Double
from tests.recovery.box import LONG_AGO, Box
from tests.support.household import configuration, configure

pytestmark = pytest.mark.slow

WEBMAIL = """
[stack]
domains = ["example.com"]
[webmail]
enabled = true
host = "webmail.example.com"
"""


def key_of(name: str, mailbox: str = "anna") -> str:
    return sent_key(mailbox, "2023-11", f"{name:-<20}")


class SentBox(Box):
    """A box whose people use the webmail."""

    def __init__(self, root: Path, s3: S3Double) -> None:
        super().__init__(root, s3)
        self.webmail(on=True)

    def webmail(self, *, on: bool) -> None:
        configure(self.root, configuration(self.root, WEBMAIL if on else ""))

    def put_sent(self, *names: str, mailbox: str = "anna", since: float = 0.0) -> None:
        for number, name in enumerate(names):
            self.s3.put(
                key_of(name, mailbox),
                f"To: clara@sender.example\r\nSubject: {name}\r\n\r\n{name}\r\n".encode(),
                last_modified=LONG_AGO + since + number,
            )

    def sent(self, mailbox: str = "anna") -> dict[str, int]:
        """Count by subject what lies in Sent, as its owner has seen it."""
        folder = self.root / mailbox / ".Sent" / "cur"
        assert all(path.name.endswith(":2,S") for path in folder.glob("*"))
        return {
            s: n
            for s, n in self.counts(mailbox).items()
            if folder in {p.parent for p in self.files(mailbox)[s]}
        }

    async def differences(self) -> list[Difference]:
        with closing(Ledger.open_existing(self.state)) as ledger:
            with ledger.store.writing() as db:
                db.execute("UPDATE objects SET first_seen = first_seen - 3600")
            async with self.bucket() as bucket:
                return await Comparison(self.settings, ledger, bucket, content=True).run()

    async def kinds(self) -> dict[str, int]:
        return dict(Counter(str(d.kind) for d in await self.differences()))


@pytest.fixture
async def box(box: Box) -> SentBox:
    """Anna was sent a and b, and has sent s; what came later is nothing yet."""
    sent = SentBox(box.root, box.s3)
    sent.put("a", "b")
    sent.put_sent("s", since=5)
    await sent.sync()
    assert (sent.counts(), sent.sent()) == ({"a": 1, "b": 1, "s": 1}, {"s": 1})
    return sent


async def test_without_a_webmail_nothing_is_looked_for(box: SentBox) -> None:
    box.webmail(on=False)
    box.put_sent("t", since=10)
    await box.sync()
    assert box.sent() == {"s": 1}
    assert await box.kinds() == {}
    box.webmail(on=True)
    await box.sync()
    assert box.sent() == {"s": 1, "t": 1}


@pytest.mark.parametrize("copies", [False, True], ids=["no copy", "with its copy"])
async def test_a_lost_ledger_knows_it_by_its_name(box: SentBox, *, copies: bool) -> None:
    if copies:
        (box.state / FILE_NAME).unlink()
    else:
        box.lose()
    await box.sync()
    assert box.counts() == {"a": 1, "b": 1, "s": 1}
    assert box.states() == {"delivered": 3}
    assert await box.kinds() == {}


async def test_an_older_ledger_learns_of_it_by_its_name(box: SentBox) -> None:
    older = box.root / "older"
    shutil.copytree(box.state, older)
    box.put_sent("t", since=10)
    await box.sync()
    shutil.rmtree(box.state)
    older.rename(box.state)
    box.put_sent("u", since=20)
    await box.sync()
    assert box.sent() == {"s": 1, "t": 1, "u": 1}
    assert box.states() == {"delivered": 5}


async def test_it_is_no_horizon_for_what_came(box: SentBox) -> None:
    """c came before s was sent and never reached home: s does not make it an old mail."""
    box.s3.put(
        "incoming/c", b"To: anna@example.com\r\nSubject: c\r\n\r\nc\r\n", last_modified=LONG_AGO + 3
    )
    box.lose()
    await box.sync()
    assert box.counts() == {"a": 1, "b": 1, "c": 1, "s": 1}


async def test_what_came_is_no_horizon_for_it(box: SentBox) -> None:
    """t was sent before b came, and never reached home: the two go by different ways."""
    box.put_sent("t", since=-100)
    box.lose()
    await box.sync()
    assert box.sent() == {"s": 1, "t": 1}
    assert "absent" not in box.states()


async def test_a_mailbox_that_has_only_sent_is_given_all_that_came(box: SentBox) -> None:
    box.put_sent("v", mailbox="bruno", since=50)
    await box.sync()
    box.put("for-bruno", to="bruno", since=1)
    box.lose()
    await box.sync()
    assert box.counts("bruno") == {"for-bruno": 1, "v": 1}


async def test_sent_mail_is_known_after_a_rebuild_by_hand(box: SentBox) -> None:
    box.lose()
    result = await make_rebuild(box.settings, box.bucket(), Events(box.log), anew=False).run()
    assert (result.names, result.listed, result.delivered) == (3, 3, 3)
    assert (result.absent, result.waiting, result.unmatched) == (0, 0, 0)
    await box.sync()
    assert box.counts() == {"a": 1, "b": 1, "s": 1}


async def test_a_copy_that_is_lost_is_missed_and_can_be_restored(box: SentBox) -> None:
    box.files()["s"][0].unlink()
    found = await box.differences()
    assert [(str(d.kind), d.key, d.mailbox) for d in found] == [("missing", key_of("s"), "anna")]
    with closing(Ledger.open_existing(box.state)) as ledger:
        async with box.bucket() as bucket:
            client = box.s3.session().client("s3")
            work = make_restore(box.settings, ledger, bucket, client, Events(box.log))
            await work.run(found, "Standard", 1)
    assert box.sent() == {"s": 1}
    assert ".postamt" in box.files()["s"][0].name
    assert "R1.postamt" in box.files()["s"][0].name


async def test_a_damaged_copy_and_an_unknown_object_are_told(box: SentBox) -> None:
    path = box.files()["s"][0]
    path.write_bytes(path.read_bytes()[:-3])
    box.put_sent("t", since=10)
    assert await box.kinds() == {"damaged": 1, "unknown": 1}


async def test_one_that_is_gone_from_the_bucket_is_told(box: SentBox) -> None:
    del box.s3.objects[key_of("s")]
    assert await box.kinds() == {"gone": 1}


async def test_what_is_adopted_counts_as_known(box: SentBox) -> None:
    box.put_sent("t", since=10)
    await box.sync(SyncOptions(mark_delivered=True))
    await box.sync()
    assert box.sent() == {"s": 1}
    assert box.states() == {"adopted": 1, "delivered": 3}


async def test_a_rehearsal_counts_it_and_writes_nothing(box: SentBox) -> None:
    box.put_sent("t", since=10)
    result = await box.sync(SyncOptions(dry_run=True))
    assert (result.totals.listed, result.totals.waiting) == (4, 1)
    assert box.sent() == {"s": 1}


async def test_files_that_a_disk_has_lost_are_due_again(box: SentBox) -> None:
    """The marker of the root says that it is older than the ledger."""
    before = box.root / "before"
    shutil.copytree(box.root / "anna", before)
    box.put_sent("t", since=10)
    await box.sync()
    shutil.rmtree(box.root / "anna")
    before.rename(box.root / "anna")
    box.put_sent("u", since=20)
    await box.sync()
    await box.sync()
    assert box.sent() == {"s": 1, "t": 1, "u": 1}
