"""An alert on its way: by the four steps, into the default mailbox, once, whatever happens."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.alerts.delivery import AlertDelivery
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.maildir_scan import found_copies
from postamt_sync.delivery.pending_mail import DeliveryStep, StepObserver, no_observer
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.ledger.incidents import DAY, Cause, Incident
from postamt_sync.recovery.maildir_files import MaildirFiles
from tests.delivery.home import Home
from tests.doubles.disk import FaultyDisk, PowerCut, VolatileDisk

NOW = 1_790_000_000.0
BODY = b"From: postamt-sync <postamt-sync@localhost>\r\nSubject: x\r\n\r\nLook.\r\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


def tell(home: Home, what: str = "a", now: float = NOW) -> None:
    incidents = home.ledger.incidents
    incidents.happened([Incident(Cause.BOUNCES, what, now, "detail")])
    assert incidents.tell(incidents.to_tell(Cause.BOUNCES, now), BODY + what.encode(), now)


def post(home: Home, observer: StepObserver = no_observer) -> AlertDelivery:
    group = Publisher(home.ledger.work, home.events, observer)
    return AlertDelivery(home.ledger.incidents, group, home.events, lambda: NOW)


def test_it_lies_in_the_default_mailbox_alone(home: Home) -> None:
    tell(home)
    assert post(home).deliver(home.destinations) == 0
    assert home.bodies("anna") == [BODY + b"a"]
    (path,) = home.mails("anna", "")
    assert path.parent.name == "new"
    assert path.stat().st_mtime == NOW
    assert home.mails("bruno") == []
    assert home.drafts("anna") == []
    assert home.ledger.incidents.undelivered() == []
    assert home.log.events("warning") == ["told the person"]


def test_it_is_delivered_once_only(home: Home) -> None:
    tell(home)
    for _ in range(3):
        post(home).deliver(home.destinations)
        home.reopen()
    assert len(home.bodies("anna")) == 1


def test_its_name_says_nothing_about_the_mail_of_the_bucket(home: Home) -> None:
    """A rebuilt ledger takes mail that is older than the newest name for deleted."""
    tell(home)
    post(home).deliver(home.destinations)
    name = parse_name(home.mails("anna")[0].name)
    assert name is not None
    assert name.stored_at == 0
    assert name.is_letter
    assert name.size == len(BODY) + 1
    assert list(found_copies("anna", home.root("anna"))) == []
    shelf = MaildirFiles()
    assert shelf.fill("anna", home.root("anna")) == 0, "no stray file for verify"
    shelf.close()


def test_it_does_not_count_as_mail_that_came(home: Home) -> None:
    tell(home)
    post(home).deliver(home.destinations)
    overview = home.ledger.overview
    assert all(count == 0 for count in overview.states().values())
    (anna, _) = overview.mailboxes(["anna", "bruno"])
    assert (anna.delivered, anna.last_delivered_at) == (0, None)
    assert overview.waiting(10) == []


def test_two_alerts_are_two_files(home: Home) -> None:
    tell(home)
    post(home).deliver(home.destinations)
    tell(home, "b", NOW + DAY)
    post(home).deliver(home.destinations)
    assert sorted(home.bodies("anna")) == [BODY + b"a", BODY + b"b"]


# Disks


def test_while_its_mailbox_cannot_take_it_it_waits(home: Home) -> None:
    assert isinstance(home.disk, FaultyDisk)
    tell(home)
    home.disk.break_("write", errno.ENOSPC)
    sender = post(home)
    assert sender.deliver(home.destinations) == 1
    assert sender.deliver(home.destinations) == 1
    assert home.bodies("anna") == []
    assert home.log.events("warning") == ["an alert cannot be delivered yet"], "said once"
    home.disk.mend()
    assert sender.deliver(home.destinations) == 0
    assert home.bodies("anna") == [BODY + b"a"]


def test_a_vanished_mailbox_is_not_created_for_it(home: Home) -> None:
    tell(home)
    home.mailboxes.open("anna")
    shutil.rmtree(home.root("anna"))
    assert post(home).deliver(home.destinations) == 1
    assert not home.root("anna").exists()


def test_a_copy_that_is_stuck_is_finished_first(home: Home) -> None:
    assert isinstance(home.disk, FaultyDisk)
    tell(home)
    home.disk.break_("rename", errno.EROFS, times=2)
    assert post(home).deliver(home.destinations) == 1
    assert post(home).deliver(home.destinations) == 1
    assert post(home).deliver(home.destinations) == 0
    assert home.bodies("anna") == [BODY + b"a"]


# Crashes


@pytest.mark.slow
@pytest.mark.parametrize("power", [False, True], ids=["process", "power"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", DeliveryStep)
def test_stopped_dead_at_any_step_it_comes_once(
    tmp_path: Path, step: DeliveryStep, done: bool, power: bool
) -> None:
    disk = VolatileDisk()
    home = Home(tmp_path, disk=disk)
    home.mailboxes.open("anna")
    disk.forget()
    tell(home)

    def observer(at: DeliveryStep, is_done: bool) -> None:
        if (at, is_done) == (step, done):
            disk.off = True
            raise PowerCut

    with pytest.raises(PowerCut):
        post(home, observer).deliver(home.destinations)
    disk.off = False
    disk.abandon()
    if power:
        disk.lose()
    home.reopen()
    assert post(home).deliver(home.destinations) == 0
    assert home.bodies("anna") == [BODY + b"a"]
    assert home.drafts("anna") == []
    assert home.ledger.incidents.undelivered() == []
    home.close()


def test_stopped_between_its_delivery_and_the_note_of_it(home: Home) -> None:
    tell(home)
    delivered = home.ledger.incidents.delivered

    def die(*_: object) -> None:
        raise PowerCut

    home.ledger.incidents.delivered = die  # type: ignore[method-assign]
    with pytest.raises(PowerCut):
        post(home).deliver(home.destinations)
    home.ledger.incidents.delivered = delivered  # type: ignore[method-assign]
    home.mails("anna")[0].unlink()  # read and deleted meanwhile
    assert post(home).deliver(home.destinations) == 0
    assert home.bodies("anna") == [], "not once more"
