"""Rebuilding by hand: lost, damaged, healthy, and never beside a courier."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from postamt_sync.app.recovery_components import make_rebuild
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.recovery.rebuild import RebuildResult
from tests.doubles.s3_faults import refuse
from tests.recovery.box import Box

pytestmark = pytest.mark.slow


async def rebuilt(box: Box, *, anew: bool = False) -> RebuildResult:
    return await make_rebuild(box.settings, box.bucket(), Events(box.log), anew=anew).run()


@pytest.fixture
async def delivered(box: Box) -> Box:
    """A copy that knows a, b and c; then d came; b was deleted."""
    box.put("a", "b", "c")
    await box.sync()
    box.put("d", since=10)
    await box.sync()
    box.files()["b"][0].unlink()
    return box


async def test_a_lost_ledger_is_rebuilt_from_maildirs_and_the_listing(delivered: Box) -> None:
    delivered.lose()
    delivered.put("e", since=20)
    result = await rebuilt(delivered)
    assert (result.names, result.listed, result.delivered) == (3, 5, 3)
    assert (result.absent, result.waiting, result.unmatched) == (1, 1, 0)
    await delivered.sync()
    assert delivered.counts() == {"a": 1, "c": 1, "d": 1, "e": 1}


async def test_a_lost_ledger_is_rebuilt_from_its_copy(delivered: Box) -> None:
    (delivered.state / FILE_NAME).unlink()
    result = await rebuilt(delivered)
    assert result.copy
    assert (result.names, result.delivered, result.absent) == (1, 4, 0)


async def test_a_damaged_ledger_is_set_aside(delivered: Box) -> None:
    path = delivered.state / FILE_NAME
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2))
    damaged = path.read_bytes()
    result = await rebuilt(delivered)
    assert result.set_aside
    (aside,) = delivered.state.glob(f"{FILE_NAME}.2*")
    assert aside.read_bytes() == damaged
    assert result.copy
    await delivered.sync()
    assert delivered.counts() == {"a": 1, "c": 1, "d": 1}


async def test_something_that_is_no_ledger_at_all(delivered: Box) -> None:
    (delivered.state / FILE_NAME).write_bytes(b"garbage" * 1000)
    assert (await rebuilt(delivered)).set_aside
    await delivered.sync()
    assert delivered.counts() == {"a": 1, "c": 1, "d": 1}


async def test_anew_believes_the_names_alone(delivered: Box) -> None:
    result = await rebuilt(delivered, anew=True)
    assert result.set_aside
    assert not result.copy
    assert (result.names, result.delivered, result.absent) == (3, 3, 1)


async def test_a_healthy_ledger_stays_as_it_is(delivered: Box) -> None:
    before = delivered.states()
    result = await rebuilt(delivered)
    assert not result.set_aside
    assert not result.names
    assert delivered.states() == before


async def test_nobody_rebuilds_beside_a_courier(delivered: Box) -> None:
    with CourierLock(delivered.state, "run"), pytest.raises(TryLaterError, match="already"):
        await rebuilt(delivered, anew=True)
    assert not list(delivered.state.glob(f"{FILE_NAME}.2*"))


async def test_without_the_bucket_it_goes_on_later(delivered: Box) -> None:
    delivered.lose()
    delivered.s3.next(refuse(403, "AccessDenied"))
    with pytest.raises(Exception, match="may not list"):
        await rebuilt(delivered)
    with closing(Ledger.open_existing(delivered.state)) as ledger:
        assert ledger.rebuild.pending
    await delivered.sync()
    assert delivered.counts() == {"a": 1, "c": 1, "d": 1}
    assert delivered.states() == {"delivered": 3, "absent": 1}


async def test_a_second_rebuild_changes_nothing(delivered: Box) -> None:
    delivered.lose()
    await rebuilt(delivered)
    before = delivered.states()
    again = await rebuilt(delivered, anew=True)
    shutil.rmtree(delivered.root / "bruno", ignore_errors=True)
    assert (again.delivered, again.absent) == (3, 1)
    assert delivered.states() == before
