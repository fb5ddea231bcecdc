"""Short campaigns: mail keeps coming, clients read it, and whatever can go wrong goes wrong.

Long ones are run by hand: `python -m tests.faults.campaign --help`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.campaign.campaign import Plan, at_hand, run
from tests.faults.campaign.faults import FAKETIME, FAULTS
from tests.faults.campaign.odd_disk import COMPILER
from tests.support.campaign import spread

RESTORED = "Maildirs older"
FAILING_CALLS = [name for name, fault in FAULTS.items() if "strace" in fault.needs]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("seed", "rounds"), spread([(1, 3), (2, 9)], 2))
async def test_a_world_that_misbehaves(tmp_path: Path, seed: int, rounds: int) -> None:
    faults = [name for name, fault in FAULTS.items() if not fault.needs and name != RESTORED]
    await carried_out(Plan(seed, rounds, faults), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_house_that_has_been_in_use_for_years(tmp_path: Path) -> None:
    """By hand: `--rows 1000000 --names 100000`."""
    await carried_out(Plan(10, 3, ["killed", "ledger older"], rows=20_000, names=2_000), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_maildirs_that_are_restored(tmp_path: Path) -> None:
    """On their own: with a ledger that is lost meanwhile, a person brings back what they lack."""
    await carried_out(Plan(7, 4, [RESTORED, "killed", "suspended"]), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: sudo apt install strace")
async def test_system_calls_that_fail(tmp_path: Path) -> None:
    await carried_out(Plan(3, 4, [*FAILING_CALLS, "killed"]), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.skipif(COMPILER is None, reason="no C compiler: sudo apt install gcc")
async def test_file_systems_of_another_kind(tmp_path: Path) -> None:
    await carried_out(Plan(9, 3, ["short writes", "neither links nor modes", "killed"]), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime: sudo apt install libfaketime")
async def test_a_clock_that_jumps(tmp_path: Path) -> None:
    await carried_out(Plan(8, 2, ["clock jumps"]), tmp_path)


@pytest.mark.root
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("disks")
@pytest.mark.parametrize("own", [["mail"], ["mail", "state"]], ids=["one disk", "two disks"])
async def test_disks_that_fail(tmp_path: Path, own: list[str]) -> None:
    there = at_hand(own) - {"strace", "faketime", "compiler"}
    faults = [name for name, fault in FAULTS.items() if fault.needs and fault.needs <= there]
    await carried_out(Plan(4, 6, [*faults, "killed"], disks=own), tmp_path)


async def carried_out(plan: Plan, root: Path) -> None:
    outcome = await run(plan, root)
    assert outcome.wrong == [], plan.command()
    assert outcome.sent > 0
