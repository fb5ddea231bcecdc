"""A copy that is prepared and cannot be published holds up no other mailbox."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.delivery.home import Home

BODY = b"Subject: x\r\n\r\nmail\r\n"


@pytest.fixture
async def unpublished(home: Home) -> Home:
    """Anna's copy is prepared, and her disk lets nothing be renamed."""
    for name in home.people:
        home.mailboxes.ready(name)
    home.bucket.put("k", BODY)
    home.announce("k", "anna")
    home.disk.break_("rename", errno.EROFS, below=home.root("anna"))
    await home.deliver()
    assert home.deliveries("k") == {"anna": "prepared"}
    return home


async def recover(home: Home) -> None:
    home.disk.mend()
    for _ in range(2):
        await home.deliver()
    assert home.bodies("anna") == [BODY]
    assert home.drafts("anna") == []
    assert home.state("k") == "delivered"


async def test_it_is_published_when_its_disk_is_well_again(unpublished: Home) -> None:
    await unpublished.deliver()
    assert "read-only" in unpublished.problem("k")
    await recover(unpublished)


async def test_an_envelope_that_comes_late_is_fulfilled_meanwhile(unpublished: Home) -> None:
    unpublished.announce("k", "bruno")
    await unpublished.deliver()
    assert unpublished.bodies("bruno") == [BODY]
    assert unpublished.mails("anna") == []
    assert len(unpublished.drafts("anna")) == 1
    await recover(unpublished)
    assert unpublished.bodies("bruno") == [BODY]


async def test_a_mailbox_that_failed_beside_it_is_tried_again(home: Home) -> None:
    for name in home.people:
        home.mailboxes.ready(name)
    home.bucket.put("k", BODY)
    home.announce("k", "anna", "bruno")
    home.disk.break_("rename", errno.EROFS, below=home.root("anna"))
    home.disk.break_("write", errno.ENOSPC, below=home.root("bruno"), times=1)
    for _ in range(3):
        await home.deliver()
    assert home.bodies("bruno") == [BODY]
    await recover(home)
    assert home.bodies("bruno") == [BODY]


async def test_it_does_not_need_the_object_any_more(unpublished: Home, tmp_path: Path) -> None:
    await unpublished.deliver()
    del unpublished.bucket.objects["k"]
    await unpublished.deliver()
    await recover(unpublished)


async def test_a_new_content_reaches_the_others_meanwhile_and_then_it(unpublished: Home) -> None:
    stored = unpublished.bucket.put("k", BODY + b"more\r\n")
    unpublished.announce("k", "anna", "bruno", etag=stored.etag)
    for _ in range(2):
        await unpublished.deliver()
    assert unpublished.bodies("bruno") == [stored.body]
    assert len(unpublished.drafts("anna")) == 1
    unpublished.disk.mend()
    for _ in range(2):
        await unpublished.deliver()
    assert sorted(unpublished.bodies("anna")) == [BODY, stored.body]
    assert unpublished.bodies("bruno") == [stored.body]
    assert unpublished.state("k") == "delivered"
