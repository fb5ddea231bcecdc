"""Every difference is found, and what only moves or arrives meanwhile is none."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing

import pytest

from postamt_sync.delivery.filename import make_stem
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Arrival, Envelope, Source
from postamt_sync.recovery.difference import Compared, Difference, DifferenceKind
from postamt_sync.recovery.verify import Comparison
from tests.recovery.box import LONG_AGO, Box

pytestmark = pytest.mark.slow


async def compared(box: Box, only: str = "", **how: object) -> list[Difference]:
    with closing(Ledger.open_existing(box.state)) as ledger:
        async with box.bucket() as bucket:
            comparison = Comparison(box.settings, ledger, bucket, **how)  # type: ignore[arg-type]
            return await comparison.run(only)


async def kinds(box: Box, **how: object) -> dict[str, int]:
    return dict(Counter(str(d.kind) for d in await compared(box, **how)))  # type: ignore[arg-type]


def age(box: Box) -> None:
    """Let everything have been heard of long ago."""
    with closing(Ledger.open_existing(box.state)) as ledger, ledger.store.writing() as db:
        db.execute("UPDATE objects SET first_seen = first_seen - 3600")


@pytest.fixture
async def delivered(box: Box) -> Box:
    box.put("a", "b", "c")
    box.put("both", to="anna bruno", since=10)
    await box.sync()
    age(box)
    return box


async def test_where_all_is_well_there_is_none(delivered: Box) -> None:
    assert await kinds(delivered, content=True) == {}


def unlink(box: Box) -> None:
    box.files()["a"][0].unlink()


def unlink_one_of_two(box: Box) -> None:
    box.files("bruno")["both"][0].unlink()


def shorten(box: Box) -> None:
    path = box.files()["a"][0]
    path.write_bytes(path.read_bytes()[:-1])


def delete_in_bucket(box: Box) -> None:
    del box.s3.objects["incoming/a"]


def change_in_bucket(box: Box) -> None:
    box.s3.put("incoming/a", b"another")


def unmount(box: Box) -> None:
    shutil.rmtree(box.root / "bruno")


def add_old_object(box: Box) -> None:
    box.put("z")


def add_stray(box: Box) -> None:
    stem = make_stem("mail", "incoming/never-was", "e", LONG_AGO)
    (box.root / "anna" / "new" / f"{stem},S=1,W=1").write_bytes(b"x")


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (unlink, {"missing": 1}),
        (unlink_one_of_two, {"missing": 1}),
        (shorten, {"damaged": 1}),
        (delete_in_bucket, {"gone": 1}),
        (change_in_bucket, {"changed": 1}),
        (unmount, {"away": 1}),
        (add_old_object, {"unknown": 1}),
        (add_stray, {"stray": 1}),
    ],
)
async def test_each_harm_is_one_difference(
    delivered: Box, harm: Callable[[Box], None], found: dict[str, int]
) -> None:
    harm(delivered)
    assert await kinds(delivered) == found


async def test_it_says_what_and_where(delivered: Box) -> None:
    unlink_one_of_two(delivered)
    shorten(delivered)
    missing, damaged = sorted(await compared(delivered), key=lambda d: d.kind, reverse=True)
    assert (missing.kind, missing.key, missing.mailbox) == (
        DifferenceKind.MISSING,
        "incoming/both",
        "bruno",
    )
    assert (damaged.kind, damaged.key) == (DifferenceKind.DAMAGED, "incoming/a")
    assert damaged.path == str(delivered.files()["a"][0])
    assert "bytes" in damaged.detail


async def test_only_the_content_tells_a_flipped_byte(delivered: Box) -> None:
    path = delivered.files()["a"][0]
    path.write_bytes(path.read_bytes()[:-3] + b"!\r\n")
    assert await kinds(delivered) == {}
    assert await kinds(delivered, content=True) == {"damaged": 1}


async def test_a_rebuilt_ledger_has_the_etag_to_compare_with(delivered: Box) -> None:
    delivered.lose()
    await delivered.sync()
    assert await kinds(delivered, content=True) == {}
    path = delivered.files()["a"][0]
    path.write_bytes(path.read_bytes()[:-3] + b"!\r\n")
    (damaged,) = await compared(delivered, content=True)
    assert "MD5" in damaged.detail


async def test_a_field_of_ours_on_top_is_no_damage(box: Box) -> None:
    box.config.write_text(
        box.config.read_text().replace(
            "[[mailboxes]]", "[delivery]\ndelivered_to_header = true\n[[mailboxes]]", 1
        )
    )
    box.put("a")
    await box.sync()
    assert box.files()["a"][0].read_bytes().startswith(b"Delivered-To: anna@example.com\r\n")
    assert await kinds(box, content=True) == {}


async def test_what_clients_do_to_names_is_no_difference(delivered: Box) -> None:
    path = delivered.files()["a"][0]
    for part in ("tmp", "new", "cur"):
        (delivered.root / "anna" / ".Archive" / part).mkdir(parents=True)
    path.rename(delivered.root / "anna" / ".Archive" / "cur" / f"{path.name}:2,FS")
    assert await kinds(delivered) == {}


async def test_mail_that_moves_while_we_read_is_looked_for_again(delivered: Box) -> None:
    """It was in none of the folders when each was read."""
    path = delivered.files()["a"][0]
    content = path.read_bytes()
    path.unlink()

    def come_back(_: Compared) -> None:
        path.write_bytes(content)

    assert await kinds(delivered, watch=come_back) == {}


async def test_states_that_keep_a_mail_from_home(box: Box) -> None:
    box.s3.put("incoming/cold", b"cold", storage_class="GLACIER", last_modified=LONG_AGO)
    box.s3.put("incoming/enc", b"?", headers={"x-amz-meta-x-amz-key-v2": "x"}, last_modified=1.0)
    box.put("a", "b")
    box.put("brunos", to="bruno", since=1)
    await box.sync()
    box.files()["a"][0].unlink()
    box.lose()
    await box.sync()
    # The archived one was stored before b; the encrypted one, too, and was never at home.
    assert await kinds(box) == {"absent": 3}


async def test_what_may_be_for_a_mailbox_without_any_mail_is_not_absent(box: Box) -> None:
    box.s3.put("incoming/cold", b"cold", storage_class="GLACIER", last_modified=LONG_AGO)
    box.put("a", "b")
    await box.sync()
    box.files()["a"][0].unlink()
    box.lose()
    await box.sync()
    found = {d.kind: d for d in await compared(box)}
    assert set(found) == {DifferenceKind.ABSENT, DifferenceKind.ARCHIVED}
    assert (found[DifferenceKind.ABSENT].key, found[DifferenceKind.ABSENT].mailbox) == (
        "incoming/a",
        "anna",
    )


async def test_states_of_a_ledger_that_was_never_lost(box: Box) -> None:
    box.s3.put("incoming/cold", b"cold", storage_class="GLACIER", last_modified=LONG_AGO)
    box.s3.put("incoming/enc", b"?", headers={"x-amz-meta-x-amz-key-v2": "x"}, last_modified=1.0)
    box.put("a")
    await box.sync()
    found = {d.kind: d for d in await compared(box)}
    assert set(found) == {DifferenceKind.ARCHIVED, DifferenceKind.QUARANTINED}
    assert found[DifferenceKind.ARCHIVED].locked
    assert "KMS" in found[DifferenceKind.QUARANTINED].detail


async def test_new_mail_is_on_its_way(delivered: Box) -> None:
    delivered.s3.put("incoming/new", b"new", last_modified=time.time())
    with closing(Ledger.open_existing(delivered.state)) as ledger:
        heard = Arrival(
            "mail", "incoming/announced", Source.WEBHOOK, envelope=Envelope(("anna@example.com",))
        )
        ledger.arrivals.record([heard])
        async with delivered.bucket() as bucket:
            comparison = Comparison(delivered.settings, ledger, bucket)
            assert await comparison.run() == []
            assert comparison.counted.under_way == 1
    age(delivered)
    assert await kinds(delivered) == {"gone": 1}


async def test_mail_that_waits_too_long_is_told_with_its_reason(delivered: Box) -> None:
    shutil.rmtree(delivered.root / "anna")
    delivered.put("d", since=20)
    await delivered.sync()
    age(delivered)
    found = {d.kind: d for d in await compared(delivered)}
    assert set(found) == {DifferenceKind.AWAY, DifferenceKind.WAITING}
    assert "vanished" in found[DifferenceKind.WAITING].detail


async def test_one_key_alone_can_be_compared(delivered: Box) -> None:
    unlink(delivered)
    delete_in_bucket_of = "incoming/b"
    del delivered.s3.objects[delete_in_bucket_of]
    (only,) = await compared(delivered, "incoming/a")
    assert (only.kind, only.key) == (DifferenceKind.MISSING, "incoming/a")
    assert await compared(delivered, "incoming/c") == []


async def test_a_listing_of_many_pages(box: Box) -> None:
    box.s3.page_size = 2
    box.put(*(f"m{n}" for n in range(7)))
    await box.sync()
    age(box)
    for name in ("m1", "m6"):
        box.files()[name][0].unlink()
    for name in ("m0", "m3", "m5"):
        del box.s3.objects[f"incoming/{name}"]
    found = await compared(box)
    assert sorted((str(d.kind), d.key[-2:]) for d in found) == [
        ("gone", "m0"),
        ("gone", "m3"),
        ("gone", "m5"),
        ("missing", "m1"),
        ("missing", "m6"),
    ]


class KnowingIndex:
    """An index in memory."""

    def __init__(self, known: dict[str, Envelope]) -> None:
        self._known = known

    async def envelopes(self, keys: list[str]) -> dict[str, Envelope]:
        return {key: self._known[key] for key in keys if key in self._known}


async def test_the_index_knows_whom_a_mail_was_for(delivered: Box) -> None:
    anna, both = (
        Envelope(("anna@example.com",)),
        Envelope(("anna@example.com", "bruno@example.com")),
    )
    index = KnowingIndex({"incoming/a": anna, "incoming/b": both, "incoming/both": both})
    found = await compared(delivered, index=index)
    assert sorted((str(d.kind), d.key, d.mailbox) for d in found) == [
        ("undelivered", "incoming/b", "bruno"),
        ("unindexed", "incoming/c", ""),
    ]


async def test_what_dovecot_has_named_is_not_compared(delivered: Box) -> None:
    unlink_one_of_two(delivered)
    unlink(delivered)
    delivered.config.write_text(
        delivered.config.read_text().replace('name = "bruno"', 'name = "bruno"\ndelivery = "lmtp"')
    )
    (only,) = await compared(delivered)
    assert (only.kind, only.key, only.mailbox) == (DifferenceKind.MISSING, "incoming/a", "anna")
