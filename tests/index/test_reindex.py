"""Mail that is there already gets its lines, whatever ends the run in the middle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.index.lists import read_handed
from postamt_sync.index.reindex import MOST_FAILURES, Backlog, Reindex
from postamt_sync.mail.handed_routes import HandedRoutes
from tests.doubles.moto import Moto
from tests.doubles.notices import AT, HEADERS, PREFIX, stored
from tests.index.test_lists import ANNA, BOTH, ListScene, each, failing

pytestmark = pytest.mark.slow

MAILS = 8


class KilledError(BaseException):
    """The process ends here."""


class ReindexScene(ListScene):
    """A bucket with mail of which the index knows the half, as an older function wrote it."""

    def __init__(self, cloud: Moto) -> None:
        super().__init__(cloud)
        lists, self.lists = self.lists, ""
        former = self.another()
        self.lists = lists
        for number in range(MAILS):
            name = f"m{number:02}"
            recipient = "anna@home.example" if number % 4 else "bruno@home.example"
            headers = {**HEADERS, "Message-ID": f"<{name}@x>"}
            self.put(stored(name, headers, recipient), name)
            if number % 2:
                former.take(self.receipt(name=name, recipients=("bruno@home.example",)))
        self.s3.client.put_object(Bucket=self.bucket, Key=f"{PREFIX}folder/", Body=b"")
        trial = f"{PREFIX}AMAZON_SES_SETUP_NOTIFICATION"
        self.s3.client.put_object(Bucket=self.bucket, Key=trial, Body=b"x")
        self.reindex = Reindex(
            self.dynamodb,  # type: ignore[arg-type]
            self.s3,  # type: ignore[arg-type]
            index=self.table,
            lists=self.lists,
            bucket=self.bucket,
            prefix=PREFIX,
        )
        self.dynamodb.calls.clear()

    def look(self) -> Backlog:
        handed = self.reindex.handed()
        assert handed is not None
        return self.reindex.look(handed, lambda _: None)

    def run(self) -> int:
        backlog = self.look()
        changed = self.reindex.carry_out(backlog, lambda _: None)
        self.reindex.finish(backlog)
        return changed

    def gets(self) -> int:
        return self.s3.names().count("get_object")

    def is_filled(self) -> bool:
        handed = read_handed(self.dynamodb.client, self.lists)
        return handed is not None and handed.filled

    def mails(self, mailbox: str) -> list[str]:
        lines = self.lines().get(f"{mailbox}#inbox", [])
        return sorted(line.partition("#")[2] for line in lines)


OF_BRUNO = sorted(f"m{n:02}" for n in range(MAILS) if n % 2 or not n % 4)
OF_ANNA = sorted(f"m{n:02}" for n in range(MAILS) if not n % 2 and n % 4)


@pytest.fixture
def scene(cloud: Moto) -> ReindexScene:
    return ReindexScene(cloud)


def test_all_mail_is_listed_each_header_is_read_once_and_known_envelopes_win(
    scene: ReindexScene,
) -> None:
    backlog = scene.look()
    assert (backlog.mails, len(backlog.left), len(backlog.reads)) == (MAILS, MAILS, MAILS)
    assert scene.gets() == 0
    assert scene.run() == MAILS
    assert scene.gets() == MAILS
    assert scene.mails("bruno") == OF_BRUNO  # the receipt, not the Received, of every other one
    assert scene.mails("anna") == OF_ANNA
    assert len(scene.lines()["bruno#ids"]) == len(OF_BRUNO)
    assert scene.item("m01")["received_at"] == AT
    assert scene.is_filled()


def test_a_second_run_asks_the_index_and_does_nothing(scene: ReindexScene) -> None:
    scene.run()
    scene.dynamodb.calls.clear()
    backlog = scene.look()
    assert backlog.left == []
    assert scene.run() == 0
    assert scene.gets() == MAILS
    assert set(scene.dynamodb.names()) == {"get_item", "batch_get_item", "update_item"}


@pytest.mark.parametrize("after", [0, 3, MAILS - 1])
def test_killed_in_the_middle_the_next_run_completes_it(scene: ReindexScene, after: int) -> None:
    def kill() -> None:
        raise KilledError

    steps: list[Callable[[], object]] = [list] * after + [kill] * 100
    scene.dynamodb.before["transact_write_items"] = each(iter(steps))
    with pytest.raises(KilledError):
        scene.run()
    assert not scene.is_filled()
    del scene.dynamodb.before["transact_write_items"]
    before = scene.gets()
    scene.run()
    assert scene.gets() - before <= MAILS - after
    assert (scene.mails("anna"), scene.mails("bruno")) == (OF_ANNA, OF_BRUNO)
    assert scene.is_filled()


def test_other_routes_move_the_lines_without_a_get(scene: ReindexScene) -> None:
    scene.run()
    scene.hand_over(HandedRoutes((ANNA,)))
    assert not scene.is_filled()
    before = scene.gets()
    assert scene.run() == MAILS
    assert scene.mails("anna") == sorted(OF_ANNA + OF_BRUNO)
    assert set(scene.lines()) == {"anna#inbox", "anna#ids"}
    assert scene.gets() == before
    assert scene.is_filled()


def test_routes_that_change_meanwhile_are_told_and_nothing_is_noted(scene: ReindexScene) -> None:
    backlog = scene.look()
    scene.reindex.carry_out(backlog, lambda _: None)
    scene.hand_over(BOTH)
    with pytest.raises(TryLaterError, match="meanwhile"):
        scene.reindex.finish(backlog)
    assert not scene.is_filled()


def test_one_mail_that_fails_holds_back_no_other_and_is_done_next_time(
    scene: ReindexScene,
) -> None:
    scene.dynamodb.before["transact_write_items"] = each(iter([failing("InternalServerError")]))
    with pytest.raises(PostamtError):
        scene.run()
    listed = len(scene.mails("anna")) + len(scene.mails("bruno"))
    assert listed == MAILS - 1
    scene.run()
    assert (scene.mails("anna"), scene.mails("bruno")) == (OF_ANNA, OF_BRUNO)


def test_where_all_fail_it_ends_soon(scene: ReindexScene) -> None:
    for number in range(4 * MOST_FAILURES):
        scene.put(stored(f"x{number}"), f"x{number}")
    scene.dynamodb.calls.clear()
    scene.dynamodb.before["transact_write_items"] = failing("AccessDeniedException")
    with pytest.raises(PostamtError, match="list the mail"):
        scene.run()
    assert scene.dynamodb.names().count("transact_write_items") < 4 * MOST_FAILURES + MAILS


def test_progress_is_told_and_mail_in_an_archive_is_not_asked_for(scene: ReindexScene) -> None:
    scene.put(stored("old"), "old", StorageClass="GLACIER")
    backlog = scene.look()
    assert len(backlog.reads) == MAILS
    told: list[Any] = []
    scene.reindex.carry_out(backlog, told.append)
    assert told == list(range(1, MAILS + 2))
    assert scene.item("old")["listed"] == "v0"


def test_what_is_no_received_mail_is_passed_over(scene: ReindexScene) -> None:
    whole = Reindex(
        scene.dynamodb,  # type: ignore[arg-type]
        scene.s3,  # type: ignore[arg-type]
        index=scene.table,
        lists=scene.lists,
        bucket=scene.bucket,
        prefix="",
        passed_over=("sent/", PREFIX),
    )
    for key in ("sent/anna/2026-11/x", "mail"):
        scene.s3.client.put_object(Bucket=scene.bucket, Key=key, Body=b"x")
    handed = whole.handed()
    assert handed is not None
    assert [found.key for found in whole.look(handed, lambda _: None).left] == ["mail"]
