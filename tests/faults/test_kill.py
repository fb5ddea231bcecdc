"""The kill test: SIGKILL before and after every step of a delivery, then a normal start.

Whatever the moment was, each mailbox concerned has the mail exactly once in the end, byte for byte,
also where a client has moved it meanwhile, and at no time does anything half-written show.
"""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

import pytest

from postamt_sync.delivery.fetcher import SMALL
from postamt_sync.delivery.pending_mail import DeliveryStep
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import BRUNO, Home
from tests.end_to_end.letters import (
    Letter,
    letter,
    letter_to_both,
    put,
    sample_letters,
    sent_letter,
)
from tests.faults.forked import fork, fork_to_be_killed
from tests.support.campaign import spread

VERBS = ("sync", "run")
SIDES = ("before", "after")
OF_A_GROUP = (
    DeliveryStep.SYNC_TMP,
    DeliveryStep.PREPARE,
    DeliveryStep.PUBLISH,
    DeliveryStep.SYNC_FOLDERS,
    DeliveryStep.MARK,
    DeliveryStep.SETTLE,
)
IN_A_GROUP = dict.fromkeys(OF_A_GROUP, 2) | {DeliveryStep.WRITE: 8, DeliveryStep.SYNC_FILE: 4}
"""Which time a step is met while several mails are on their way together."""

WEBMAIL = """
[stack]
domains = ["example.com"]
[webmail]
enabled = true
host = "webmail.example.com"
"""

PREPARED = {(DeliveryStep.PREPARE, "after"), (DeliveryStep.SETTLE, "before")} | {
    (step, side)
    for step in (DeliveryStep.PUBLISH, DeliveryStep.SYNC_FOLDERS, DeliveryStep.MARK)
    for side in SIDES
}
"""The moments at which a whole group is prepared and nothing of it is settled."""

RESUMED = (
    DeliveryStep.PUBLISH,
    DeliveryStep.SYNC_FOLDERS,
    DeliveryStep.MARK,
    DeliveryStep.SETTLE,
)
"""What is left to do for a mail that was prepared."""


def burst() -> list[Letter]:
    """Mail for one and for two mailboxes, spam, 8 bits, a large one for each mailbox."""
    varied = [stored for sample, stored in sample_letters() if not sample.title.startswith("A pla")]
    return [*varied, letter_to_both("both"), letter("long", BRUNO, "Tea. " * 250_000)]


def kill_at(
    home: Home, verb: str, step: DeliveryStep, side: str, nth: int = 1, large: int = 0
) -> None:
    killed = fork_to_be_killed(home, verb, step.name, side, str(nth), str(large))
    assert killed.ended() == -signal.SIGKILL, killed.tail()


def nothing_half_done_shows(home: Home, letters: Sequence[Letter]) -> None:
    assert home.contents() <= once_each(letters)


def prepared(home: Home) -> set[str]:
    """Return which mails the ledger holds prepared."""
    with closing(sqlite3.connect(home.state / "ledger.sqlite3")) as db:
        rows = db.execute("SELECT mail FROM deliveries WHERE state = 'prepared'").fetchall()
    return {mail for (mail,) in rows}


def a_client_reads(home: Home) -> None:
    """Move all that shows, as a mail client does: to deliver it again is to deliver it twice."""
    for _, path in list(home.mails()):
        if path.parent.name == "new":
            path.rename(path.parents[1] / "cur" / f"{path.name}:2,S")


def once_each(letters: Sequence[Letter]) -> Counter[tuple[str, bytes]]:
    return Counter(copy for one in letters for copy in one.expected())


def all_is_well(home: Home, letters: Sequence[Letter]) -> None:
    assert home.contents() == once_each(letters)
    assert home.drafts() == []
    assert {path.stat().st_nlink for _, path in home.mails()} == {1}
    assert home.states() == {"delivered": len(letters)}


def finish(home: Home, verb: str, letters: Sequence[Letter]) -> None:
    """Start it again as it always is, and let it come to its end."""
    if verb == "sync":
        again = fork(home, "sync")
        assert again.ended() == 0, again.tail()
        return
    daemon = fork(home, "run")
    daemon.until("started")
    daemon.wait(lambda: home.states() == {"delivered": len(letters)}, "all delivered")
    assert daemon.stop() == 0


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("step", spread(DeliveryStep, 3))
@pytest.mark.parametrize("verb", VERBS)
def test_killed_with_a_group_on_its_way(
    home: Home, s3: S3Double, verb: str, step: DeliveryStep, side: str
) -> None:
    letters = burst()
    put(s3, *letters)
    large = sum(len(one.body) > SMALL for one in letters)
    kill_at(home, verb, step, side, IN_A_GROUP[step], large)
    if (step, side) in PREPARED:
        assert len(prepared(home)) >= large > 1
    nothing_half_done_shows(home, letters)
    a_client_reads(home)
    finish(home, verb, letters)
    all_is_well(home, letters)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("step", spread(DeliveryStep, 3))
@pytest.mark.parametrize("verb", VERBS)
def test_killed_with_one_mail_for_two_mailboxes(
    home: Home, s3: S3Double, verb: str, step: DeliveryStep, side: str
) -> None:
    both = letter_to_both("both")
    put(s3, both)
    kill_at(home, verb, step, side)
    nothing_half_done_shows(home, [both])
    a_client_reads(home)
    finish(home, verb, [both])
    all_is_well(home, [both])


@pytest.mark.parametrize(
    ("step", "side"),
    [(DeliveryStep.PUBLISH, "before"), *((step, "after") for step in OF_A_GROUP)],
)
def test_killed_with_what_the_webmail_has_sent(
    home: Home, s3: S3Double, step: DeliveryStep, side: str
) -> None:
    home.configure(WEBMAIL)
    letters = [sent_letter("small"), sent_letter("large", "Tea. " * 250_000)]
    put(s3, *letters)
    kill_at(home, "sync", step, side, 1, 1)
    nothing_half_done_shows(home, letters)
    finish(home, "sync", letters)
    all_is_well(home, letters)
    assert {path.parent.name for _, path in home.mails()} == {"cur"}
    assert all(path.name.endswith(":2,S") for _, path in home.mails())


def test_the_daemon_brings_home_what_the_webmail_has_sent(home: Home, s3: S3Double) -> None:
    home.configure(WEBMAIL)
    letters = [letter("came"), sent_letter("sent")]
    put(s3, *letters)
    kill_at(home, "run", DeliveryStep.PUBLISH, "after")
    finish(home, "run", letters)
    all_is_well(home, letters)


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("step", spread(RESUMED, 2))
def test_killed_again_while_it_resumes(
    home: Home, s3: S3Double, step: DeliveryStep, side: str, nth: int
) -> None:
    both = letter_to_both("both")
    put(s3, both)
    kill_at(home, "sync", DeliveryStep.PREPARE, "after")
    assert prepared(home)
    assert home.contents() == {}
    kill_at(home, "sync", step, side, nth)
    nothing_half_done_shows(home, [both])
    a_client_reads(home)
    finish(home, "sync", [both])
    all_is_well(home, [both])


def test_what_was_killed_is_announced_to_nobody_twice(home: Home, s3: S3Double) -> None:
    """The name is fixed before the first rename: a mail client sees one file come, not two."""
    one = letter("one")
    put(s3, one)
    kill_at(home, "sync", DeliveryStep.PUBLISH, "after")
    [(_, before)] = home.mails()
    seen = before.stat()
    finish(home, "sync", [one])
    [(_, after)] = home.mails()
    assert (after, after.stat().st_ino, after.stat().st_mtime) == (
        before,
        seen.st_ino,
        seen.st_mtime,
    )
