"""Killed while it rebuilds a lost ledger: nothing comes twice, and nothing that was deleted."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home
from tests.end_to_end.letters import letter
from tests.faults.forked import fork
from tests.support.campaign import spread

MAILS = 200
DELETED_EVERY = 9
SINCE = 1_700_000_000.0
LONGEST_NAP = 0.2


@pytest.mark.parametrize("with_copy", [True, False])
@pytest.mark.parametrize("seed", spread([1, 2], 2))
def test_killed_again_and_again(home: Home, s3: S3Double, seed: int, with_copy: bool) -> None:
    s3.page_size = 2  # so that the rebuild takes its time
    letters = [letter(f"m{number}") for number in range(MAILS)]
    for number, one in enumerate(letters):
        s3.put(one.key, one.body, last_modified=SINCE + number)
    first = fork(home, "sync")
    assert first.ended() == 0, first.tail()
    kept = []
    bodies = {path.read_bytes(): path for _, path in home.mails()}
    for number, one in enumerate(letters):
        if number % DELETED_EVERY == 0:
            bodies[one.body].unlink()
        else:
            kept.append(one)
    if with_copy:
        (home.state / "ledger.sqlite3").unlink()
    else:
        shutil.rmtree(home.state)
    wanted = Counter(copy for one in kept for copy in one.expected())
    chance = random.Random(seed)
    for _ in range(6):
        process = fork(home, "sync")
        process.wait((home.state / "ledger.sqlite3").exists, "a ledger")
        time.sleep(chance.uniform(0, LONGEST_NAP))
        with suppress(ProcessLookupError):  # it has come to its end before
            process.process.kill()
        process.ended()
        assert home.contents() == wanted
    last = fork(home, "sync")
    assert last.ended() == 0, last.tail()
    assert home.contents() == wanted
    deleted = MAILS - len(kept)
    states = {"delivered": MAILS} if with_copy else {"delivered": len(kept), "absent": deleted}
    assert home.states() == states
