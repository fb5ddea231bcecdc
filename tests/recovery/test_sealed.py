"""A sealed object is its plain one, for everything that looks at the bucket."""

from __future__ import annotations

import pytest

from postamt_sync.app.components import make_courier, make_scanner
from postamt_sync.app.recovery_components import make_rebuild
from postamt_sync.app.sync import SyncOptions
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Source
from postamt_sync.recovery.verify import Comparison
from tests.recovery.box import Box
from tests.support.sealing import seal

pytestmark = pytest.mark.slow  # a pass after the other, each opens all anew

NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True, params=["sealing", "switched off"])
def sealing(box: Box, request: pytest.FixtureRequest) -> None:
    """As a box whose stack seals, the key itself lies elsewhere; or did so, and nothing here says
    it any more."""
    if request.param == "sealing":
        configured = box.config.read_text()
        box.config.write_text(f'{configured}\n[seal]\nkeys = ["owner.asc"]\n')


def keys(*names: str) -> list[str]:
    return [f"incoming/{name}" for name in names]


async def compared(box: Box, only: str = "") -> list[tuple[str, str]]:
    ledger = Ledger.open_existing(box.state)
    try:
        async with box.bucket() as bucket:
            found = await Comparison(box.settings, ledger, bucket).run(only)
    finally:
        ledger.close()
    return [(str(d.kind), d.key) for d in found]


async def test_what_is_at_home_stays_so_when_it_is_sealed(box: Box) -> None:
    box.put(*NAMES)
    await box.sync()
    seal(box.s3, *keys("a", "b"))
    gets = box.s3.gets
    result = await box.sync()
    assert (result.totals.listed, result.totals.known) == (3, 3)
    assert box.states() == {"delivered": 3}
    assert box.counts() == {"a": 1, "b": 1, "c": 1}
    assert await compared(box) == []
    assert box.s3.gets == gets


async def test_a_ledger_lost_after_sealing_calls_nothing_gone_and_brings_nothing_twice(
    box: Box,
) -> None:
    box.put(*NAMES)
    await box.sync()
    seal(box.s3, *keys("a", "c"))
    box.lose()
    result = await box.sync()
    assert result.error is None
    assert box.states() == {"delivered": 3}
    assert box.counts() == {"a": 1, "b": 1, "c": 1}
    assert await compared(box) == []


async def test_nor_does_a_rebuild_by_hand(box: Box) -> None:
    box.put(*NAMES)
    await box.sync()
    seal(box.s3, *keys(*NAMES))
    events = Events(box.log)
    result = await make_rebuild(box.settings, box.bucket(), events, anew=True).run()
    assert (result.listed, result.delivered, result.waiting, result.absent) == (3, 3, 0, 0)
    assert result.unmatched == 0
    assert box.counts() == {"a": 1, "b": 1, "c": 1}


async def test_what_its_owner_deleted_before_a_loss_is_absent_though_it_is_sealed(
    box: Box,
) -> None:
    box.put("a")
    box.put("b", "c", to="anna bruno", since=10)
    await box.sync()
    for path in box.files()["a"]:
        path.unlink()
    seal(box.s3, *keys("a", "b"))
    box.lose()
    await box.sync()
    assert box.states() == {"delivered": 2, "absent": 1}
    assert box.counts() == {"b": 1, "c": 1}
    kinds = await compared(box)
    assert kinds == [("absent", "incoming/a")]


async def test_what_never_came_and_is_only_sealed_is_said_not_lost(box: Box) -> None:
    box.put("a")
    await box.sync()
    box.put("new", since=100)
    seal(box.s3, *keys("new"))
    await box.sync()
    assert box.states() == {"delivered": 1, "sealed": 1}
    assert await compared(box) == [("sealed", "incoming/new")]
    assert await compared(box, "incoming/new") == [("sealed", "incoming/new")]
    assert (await box.sync()).totals.sealed == 1


async def test_sealed_and_gone_between_listing_and_fetch(box: Box) -> None:
    """The ledger has it as waiting; the plain object has expired meanwhile."""
    box.put("a")
    ledger = Ledger.open(box.state)
    async with box.bucket() as bucket:
        events = Events(box.log)
        scanner = make_scanner(box.settings, ledger, bucket, events)
        await scanner.everything(Source.RECONCILE)
        seal(box.s3, *keys("a"))
        await make_courier(box.settings, ledger, bucket, events).run(until_idle=True)
    ledger.close()
    assert box.state_of("a") == "sealed"
    assert box.said("only its sealed object is left")


async def test_a_mail_that_was_taken_for_gone_is_found_sealed(box: Box) -> None:
    box.put("a")
    plain = box.s3.objects["incoming/a"]
    ledger = Ledger.open(box.state)
    async with box.bucket() as bucket:
        events = Events(box.log)
        await make_scanner(box.settings, ledger, bucket, events).everything(Source.RECONCILE)
        del box.s3.objects["incoming/a"]
        await make_courier(box.settings, ledger, bucket, events).run(until_idle=True)
    ledger.close()
    assert box.state_of("a") == "gone"
    box.s3.objects["incoming/a"] = plain
    seal(box.s3, "incoming/a")
    await box.sync()
    assert box.state_of("a") == "sealed"


async def test_a_plain_object_that_is_back_is_delivered(box: Box) -> None:
    """Its undo: someone took the delete marker away."""
    box.put("a")
    plain = box.s3.objects["incoming/a"]
    seal(box.s3, "incoming/a")
    await box.sync()
    assert box.states() == {"sealed": 1}
    box.s3.objects["incoming/a"] = plain
    await box.sync()
    assert box.states() == {"delivered": 1}
    assert box.counts() == {"a": 1}


async def test_while_both_are_there_it_is_one_mail(box: Box) -> None:
    box.put(*NAMES)
    seal(box.s3, *keys(*NAMES), keep=True)
    result = await box.sync()
    assert (result.totals.listed, result.totals.delivered) == (3, 3)
    assert await compared(box) == []


async def test_of_several_contents_of_one_key_the_newest_counts(box: Box) -> None:
    box.put("a")
    await box.sync()
    seal(box.s3, "incoming/a")
    box.s3.put("incoming/a", b"To: anna@example.com\r\nSubject: a2\r\n\r\n2", last_modified=1.8e9)
    await box.sync()
    assert box.counts() == {"a": 1, "a2": 1}
    seal(box.s3, "incoming/a")
    for _ in range(2):
        await box.sync()
        assert box.states() == {"delivered": 1}
        assert await compared(box) == []
    box.lose()
    await box.sync()
    assert box.counts() == {"a": 1, "a2": 1}
    assert box.states() == {"delivered": 1}


async def test_an_older_content_that_is_sealed_does_not_replace_a_newer(box: Box) -> None:
    box.put("a")
    await box.sync()
    seal(box.s3, "incoming/a")
    box.s3.put("incoming/a", b"To: anna@example.com\r\nSubject: a2\r\n\r\n2", last_modified=1.8e9)
    await box.sync()
    del box.s3.objects["incoming/a"]
    await box.sync()
    assert box.states() == {"delivered": 1}
    assert box.counts() == {"a": 1, "a2": 1}


async def test_adopted_mail_stays_adopted(box: Box) -> None:
    box.put(*NAMES)
    seal(box.s3, *keys("a"))
    await box.sync(SyncOptions(mark_delivered=True))
    assert box.states() == {"adopted": 3}
    seal(box.s3, *keys("b"))
    await box.sync()
    assert box.states() == {"adopted": 3}
    assert await compared(box) == []


async def test_a_dry_run_says_what_is_only_sealed(box: Box) -> None:
    box.put(*NAMES)
    seal(box.s3, *keys("a"))
    result = await box.sync(SyncOptions(dry_run=True))
    totals = result.totals
    assert (totals.listed, totals.sealed, totals.waiting) == (3, 1, 2)


async def test_what_else_lies_among_the_sealed_is_nothing(box: Box) -> None:
    box.put("a")
    for key in ("sealed/", "sealed/x", "sealed/x/y.pgp", "sealed/proof/canary.pgp"):
        box.s3.put(key, b"?")
    await box.sync()
    assert box.states() == {"delivered": 1}


@pytest.mark.slow
@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
async def test_keys_whose_order_differs_with_what_follows_them(box: Box, page_size: int) -> None:
    """`a-b` sorts behind `a`, and `sealed/a-b/...` before `sealed/a/...`."""
    odd = ["a", "a!", "a-b", "a.b", "a/b", "a0", "é", "z"]
    box.s3.page_size = page_size
    for number, name in enumerate(odd):
        box.s3.put(f"incoming/{name}", b"To: anna@example.com\r\n\r\n%d" % number)
    seal(box.s3, *keys(*odd[::2]))
    await box.sync()
    assert box.states() == {"delivered": 4, "sealed": 4}
    await box.sync()
    assert box.states() == {"delivered": 4, "sealed": 4}
    kinds = await compared(box)
    assert sorted(kinds) == sorted(("sealed", key) for key in keys(*odd[::2]))
