"""Killed at no chosen moment: between two reads, in a commit, while SQLite folds its log."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, BRUNO, Home
from tests.end_to_end.letters import Letter, letter, letter_to_both, put
from tests.faults.forked import fork
from tests.support.campaign import spread

MAILS = 120
KILLS = 4
LONGEST_NAP = 0.05


def mail() -> list[Letter]:
    letters = []
    for number in range(MAILS):
        if number % 5 == 0:
            letters.append(letter_to_both(f"both{number}"))
        else:
            text = "Tea, " * (20_000 if number % 7 == 0 else 20)
            letters.append(letter(f"one{number}", (ANNA, BRUNO)[number % 2], text * 4))
    return letters


@pytest.mark.parametrize("verb", ["sync", "run"])
@pytest.mark.parametrize("seed", spread([1, 2], 2))
def test_killed_again_and_again(home: Home, s3: S3Double, verb: str, seed: int) -> None:
    letters = mail()
    put(s3, *letters)
    wanted = Counter(copy for one in letters for copy in one.expected())
    chance = random.Random(seed)
    for turn in range(KILLS):
        process = fork(home, verb)
        # From a start in which nothing has come yet to one in which most of it has.
        enough = chance.randint(0, MAILS * turn // KILLS)
        process.wait(lambda least=enough: sum(1 for _ in home.mails()) >= least, "some mail")
        time.sleep(chance.uniform(0, LONGEST_NAP))
        process.process.kill()
        process.ended()
        assert home.contents() <= wanted
    last = fork(home, "sync")
    assert last.ended() == 0, last.tail()
    assert home.contents() == wanted
    assert home.drafts() == []
    assert home.states() == {"delivered": MAILS}
