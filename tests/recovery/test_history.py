"""Any history of a household: mail comes, is moved, flagged and deleted, and ledgers get lost.

The model says for each mail whether it must be at home. What comes back after it was deleted is
only what the one named exception allows: a loss of the ledger, and nothing at home that is newer.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from postamt_sync.ledger.backup import BACKUP_NAME, back_up
from postamt_sync.ledger.store import FILE_NAME
from tests.doubles.s3 import S3Double
from tests.recovery.box import Box
from tests.support.campaign import examples

pytestmark = pytest.mark.slow


class Household(RuleBasedStateMachine):
    """Mails are numbered in the order in which they come, each a second after the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self._serving = S3Double.in_thread()
        self.s3 = self._serving.__enter__()
        self.box = Box(self.root, self.s3)
        self.count = 0
        self.home: set[int] = set()
        self.deleted: set[int] = set()
        self.in_copy: set[int] | None = None
        self.synced = True
        self.lost: set[int] | None = None
        """What the ledger knows as delivered, after it was lost and before the next pass."""

    def teardown(self) -> None:
        self._serving.__exit__(None, None, None)
        shutil.rmtree(self.root)

    @initialize()
    def begin(self) -> None:
        self.mail_comes(2)
        self.sync()

    @rule(number=st.integers(1, 3))
    def mail_comes(self, number: int) -> None:
        for _ in range(number):
            self.box.put(f"m{self.count}", since=self.count)
            self.count += 1
        self.synced = False

    @rule()
    def sync(self) -> None:
        known = self.home | self.deleted if self.lost is None else self.lost
        new_names = self.home - known
        horizon = max(new_names, default=-1)
        for number in range(self.count):
            if number in self.home or (number in self.deleted and number in known):
                continue
            if number in self.deleted and number < horizon:
                continue
            self.deleted.discard(number)
            self.home.add(number)
        if self.in_copy is None:
            self.in_copy = self.home | self.deleted  # each first pass makes one
        result = asyncio.run(self.box.sync())
        assert result.error is None
        self.lost = None
        self.synced = True

    @precondition(lambda self: self.home)
    @rule(data=st.data())
    def a_mail_is_deleted(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.home)))
        (path,) = self.box.files()[f"m{number}"]
        path.unlink()
        self.home.discard(number)
        self.deleted.add(number)

    @precondition(lambda self: self.home)
    @rule(data=st.data(), folder=st.sampled_from(["", ".Work", ".B&APw-cher"]))
    def a_mail_is_moved(self, data: st.DataObject, folder: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.home)))
        (path,) = self.box.files()[f"m{number}"]
        target = self.root / "anna" / folder
        for part in ("tmp", "new", "cur"):
            (target / part).mkdir(parents=True, exist_ok=True)
        path.rename(target / "cur" / f"{path.name.partition(':')[0]}:2,S")

    @precondition(lambda self: self.lost is None)
    @rule()
    def the_ledger_is_copied(self) -> None:
        back_up(self.box.state, self.box.state)
        self.in_copy = self.home | self.deleted

    @rule()
    def the_ledger_is_lost_with_its_copy(self) -> None:
        shutil.rmtree(self.box.state, ignore_errors=True)
        self.lost, self.in_copy = set(), None

    @rule()
    def the_ledger_is_lost(self) -> None:
        for path in self.box.state.glob(f"{FILE_NAME}*"):
            path.unlink()
        self.lost = set(self.in_copy or ())

    @precondition(lambda self: self.in_copy is not None)
    @rule()
    def an_old_ledger_is_put_in_its_place(self) -> None:
        for path in self.box.state.glob(f"{FILE_NAME}*"):
            path.unlink()
        shutil.copy(self.box.state / BACKUP_NAME, self.box.state / FILE_NAME)
        self.lost = set(self.in_copy or ())

    @invariant()
    def each_mail_is_there_once_or_not_at_all(self) -> None:
        if self.synced:
            assert self.box.counts() == {f"m{n}": 1 for n in self.home}


TestHousehold = Household.TestCase
TestHousehold.settings = settings(
    max_examples=examples(12),
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
