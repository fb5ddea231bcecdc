"""The watch as a whole: what goes wrong ends as one mail a day in the default mailbox."""

from __future__ import annotations

import asyncio
import datetime as dt
import email
import email.policy
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.alerts.delivery import AlertDelivery
from postamt_sync.alerts.monitor import (
    METRICS,
    METRICS_EVERY,
    METRICS_FIRST,
    AlertMonitor,
    MonitorClocks,
    Served,
)
from postamt_sync.alerts.ses_metrics import HOUR
from postamt_sync.config import LiveSettings, Settings
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.errors import CredentialsError, PostamtError, TryLaterError
from postamt_sync.ledger import ObjectState
from postamt_sync.ledger.arrival_queue import ArrivalQueue, DeadLetter
from postamt_sync.ledger.incidents import DAY, SETTLED, Cause, Incident
from postamt_sync.mail.feedback import Feedback, FeedbackKind
from tests.delivery.home import Home
from tests.doubles.ledger import listing, take
from tests.doubles.scene import until
from tests.doubles.sns import certificate_pem, private_key

NOW = 1_790_000_000.0


@dataclass
class Metrics:
    """SES's metrics: what is found, or the trouble with them."""

    found: list[Incident] = field(default_factory=list)
    trouble: PostamtError | None = None
    asked: list[tuple[float | None, float]] = field(default_factory=list)

    async def read(self, since: float | None, now: float) -> list[Incident]:
        self.asked.append((since, now))
        if self.trouble:
            raise self.trouble
        return self.found


class Scene:
    def __init__(self, base: Path) -> None:
        self.home = Home(base)
        self.clock = 0.0
        self.metrics = Metrics()
        self.served: Served | None = None
        self.live = LiveSettings(self.settings({}))
        self.watch = self.new_watch()

    def new_watch(self) -> AlertMonitor:
        home = self.home
        metrics: Any = self.metrics
        return AlertMonitor(
            self.live,
            home.ledger,
            lambda: home.destinations,
            AlertDelivery(
                home.ledger.incidents,
                Publisher(home.ledger.work, home.events),
                home.events,
                self.wall,
            ),
            metrics,
            home.events,
            clocks=MonitorClocks(self.wall, lambda: self.clock),
            served=lambda: self.served,
        )

    def wall(self) -> float:
        return NOW + self.clock

    def switch(self, alerts: dict[str, bool]) -> None:
        self.live.replace(self.settings(alerts), may_remove=True)

    def settings(self, alerts: dict[str, bool]) -> Settings:
        return Settings(
            state_dir=self.home.base,
            aws={"region": "eu-west-1"},
            bucket={"name": "mail"},
            alerts=alerts,
            mailboxes=[
                {"name": name, "maildir": self.home.root(name), "default": name == "anna"}
                for name in self.home.people
            ],
        )

    def restart(self) -> None:
        self.home.reopen()
        self.watch = self.new_watch()

    async def later(self, seconds: float) -> None:
        """Let time pass with a look now and then."""
        end = self.clock + seconds
        while self.clock < end:
            self.clock = min(self.clock + 300, end)
            await self.watch.look()

    def letters(self) -> list[str]:
        found = []
        for body in self.home.bodies("anna"):
            message = email.message_from_bytes(body, policy=email.policy.default)
            found.append(str(message["Subject"]).removeprefix("postamt-sync: "))
        return sorted(found)

    def certificates(self) -> list[Incident]:
        found = self.home.ledger.incidents.current([Cause.CERTIFICATE], self.wall())
        return [incident for incident in found if incident.lasting]

    def text(self) -> str:
        (body,) = self.home.bodies("anna")
        message: Any = email.message_from_bytes(body, policy=email.policy.default)
        return " ".join(message.get_content().split())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    # Whatever this machine's disk is like; and nobody polls here.
    scene.switch({"disk": False, "silence": False})
    yield scene
    scene.home.close()


@pytest.mark.parametrize("in_file", ["fresh", "broken", "none"])
async def test_the_certificate_that_is_served_counts(scene: Scene, in_file: str) -> None:
    """Renewed, but with another's key, say: the daemon goes on with the old one, until it ends."""
    path = scene.home.base / "chain.pem"
    served = issued(days=3)
    if in_file == "fresh":
        path.write_bytes(issued(days=80))
    elif in_file == "broken":
        path.write_text("half of it")
    scene.served = Served(path, served)
    await scene.watch.look()
    (told,) = scene.certificates()
    assert f"{path} expires on " in told.detail
    scene.served = Served(path, issued(days=80))
    await scene.watch.look()
    assert scene.certificates() == []


async def test_a_file_about_to_end_that_nobody_serves_is_no_matter(scene: Scene) -> None:
    path = scene.home.base / "chain.pem"
    path.write_bytes(issued(days=3))
    scene.served = Served(path, issued(days=80))
    await scene.watch.look()
    assert scene.certificates() == []


def issued(days: int) -> bytes:
    """A certificate that ends in so many days of the scene's clock."""
    off = dt.datetime.fromtimestamp(NOW, dt.UTC) - dt.datetime.now(dt.UTC)
    begins, ends = dt.timedelta(days=-60), dt.timedelta(days=days)
    return certificate_pem(private_key(), begins=off + begins, ends=off + ends)


async def test_while_all_is_well_nothing_is_told(scene: Scene) -> None:
    scene.home.ledger.overview.source_ok("poll")
    await scene.later(3000)
    assert scene.letters() == []
    assert scene.home.log.events("error") == []


@pytest.mark.slow
async def test_dead_letters_are_counted_once_and_told_once_a_day(scene: Scene) -> None:
    inbox = ArrivalQueue(scene.home.ledger, scene.home.events, lambda: None)
    letters = [DeadLetter(f"id{n}", NOW - 3600 + n, "503 \x1bno<html>Hotel") for n in range(17)]
    for _ in range(3):  # however often the queue hands them out
        await inbox.keep_dead_letters(letters)
    await scene.watch.look()
    assert scene.letters() == ["17 webhook deliveries failed"]
    assert "The last: 503 \\x1bno" in scene.text()
    assert "Hotel" not in scene.text()
    await inbox.keep_dead_letters([DeadLetter("another", NOW, "")])
    await scene.later(DAY - 300)
    assert scene.letters() == ["17 webhook deliveries failed"]
    await scene.later(600)
    assert scene.letters() == ["1 webhook delivery failed", "17 webhook deliveries failed"]


async def test_bounces_and_complaints_are_told_of_with_some_recipients(scene: Scene) -> None:
    inbox = ArrivalQueue(scene.home.ledger, scene.home.events, lambda: None)
    people = tuple(f"p{n}@example.net" for n in range(9))
    for kind in FeedbackKind:
        await inbox.keep_feedback(Feedback(kind, "id", None, people, "550 no\nsuch user", "Tea"))
    await scene.watch.look()
    assert scene.letters() == [
        "1 mail that you sent came back",
        "someone marked a mail of yours as spam",
    ]
    told = b"".join(scene.home.bodies("anna"))
    assert b"p0@example.net" in told
    assert b"p8@example.net" not in told
    assert b"550 no\\nsuch user" in told


@pytest.mark.slow
async def test_quarantined_mail_is_told_once_and_again_if_it_comes_back(scene: Scene) -> None:
    ledger = scene.home.ledger
    ledger.arrivals.record([listing()])
    ledger.work.end(take(ledger), ObjectState.QUARANTINED, "It is encrypted.")
    await scene.later(2 * DAY)
    assert scene.letters() == ["1 mail is quarantined"]
    assert "incoming/a: It is encrypted." in scene.text()
    ledger.repair.retry_quarantined()
    ledger.work.end(take(ledger), ObjectState.QUARANTINED, "Still.")
    await scene.later(600)
    assert len(scene.letters()) == 2


@pytest.mark.slow
async def test_credentials_that_are_refused_while_no_mail_can_come(scene: Scene) -> None:
    """The courier holds still then; an alert does not go through it."""
    scene.home.ledger.overview.source_bad("poll", CredentialsError("AWS does not know our key."))
    await scene.watch.look()
    assert scene.letters() == [], "it may pass"
    await scene.later(SETTLED + 300)
    assert scene.letters() == ["AWS refuses our credentials"]
    scene.home.ledger.overview.source_ok("poll")
    await scene.later(2 * DAY)
    assert len(scene.letters()) == 1, "it is over"


@pytest.mark.slow
async def test_a_silent_poll_is_told_once_a_day(scene: Scene) -> None:
    scene.switch({"disk": False})
    scene.home.ledger.overview.source_bad("poll", TryLaterError("The network is away."))
    await scene.later(3600 + SETTLED + 300)
    assert scene.letters() == ["the bucket could not be listed for a long time"]
    assert "The network is away." in scene.text()
    await scene.later(3 * DAY)
    assert len(scene.letters()) == 4, "once a day while it lasts"


async def test_a_vanished_mailbox_of_someone_else(scene: Scene) -> None:
    await scene.watch.look()
    shutil.rmtree(scene.home.root("bruno"))
    await scene.later(SETTLED + 600)
    assert scene.letters() == ["a mailbox has vanished"]


async def test_a_vanished_default_mailbox_gets_its_alert_when_it_is_back(scene: Scene) -> None:
    await scene.watch.look()
    away = scene.home.base / "away"
    scene.home.root("anna").rename(away)
    scene.home.ledger.overview.source_ok("poll")
    await scene.later(SETTLED + 1200)
    assert not scene.home.root("anna").exists(), "nothing is created in its place"
    await scene.later(1200)
    away.rename(scene.home.root("anna"))
    await scene.watch.look()
    assert scene.letters() == ["a mailbox has vanished"], "one, however long it was away"


@pytest.mark.slow
async def test_each_cause_can_be_switched_off(scene: Scene) -> None:
    incidents = scene.home.ledger.incidents
    incidents.happened([Incident(cause, "x", NOW, "detail") for cause in Cause])
    scene.home.ledger.overview.source_bad("poll", CredentialsError("No."))
    none = dict.fromkeys(map(str, Cause), False)
    scene.switch(none)
    await scene.later(DAY)
    assert scene.letters() == []
    assert scene.metrics.asked == [], "what costs money is not asked for"
    scene.switch({**none, "bounces": True})
    await scene.watch.look()
    assert scene.letters() == ["1 mail that you sent came back"]


async def test_what_is_switched_off_while_it_lasts_lasts_no_more(scene: Scene) -> None:
    scene.home.ledger.overview.source_bad("poll", CredentialsError("No."))
    await scene.watch.look()
    assert scene.home.ledger.incidents.current([Cause.CREDENTIALS], scene.wall())
    scene.switch({"credentials": False})
    await scene.watch.look()
    assert scene.home.ledger.incidents.current([Cause.CREDENTIALS], scene.wall()) == []


@pytest.mark.slow
async def test_at_most_one_a_day_also_across_restarts(scene: Scene) -> None:
    for number in range(10):
        trouble = Incident(Cause.BOUNCES, str(number), scene.wall(), "detail")
        scene.home.ledger.incidents.happened([trouble])
        await scene.watch.look()
        scene.restart()
        scene.clock += DAY / 10
    assert len(scene.letters()) == 1


async def test_never_an_alert_about_an_alert(scene: Scene) -> None:
    scene.home.ledger.incidents.happened([Incident(Cause.BOUNCES, "x", NOW, "detail")])
    await scene.watch.look()
    shutil.rmtree(scene.home.root("anna") / "new")  # so that nothing can be published there
    scene.home.ledger.incidents.happened([Incident(Cause.COMPLAINTS, "x", NOW, "detail")])
    await scene.later(SETTLED + 300)
    waiting = scene.home.ledger.incidents.undelivered()
    assert sorted(alert.cause for alert in waiting) == ["complaints", "mailbox"]
    await scene.later(1200)
    assert len(scene.home.ledger.incidents.undelivered()) == 2


# SES's metrics


async def test_metrics_are_read_hourly_and_told(scene: Scene) -> None:
    scene.home.ledger.overview.source_ok("poll")
    scene.metrics.found = [Incident(Cause.PUBLISHING, "hour", NOW - HOUR, "PublishExpired: 2")]
    await scene.watch.look()
    assert scene.metrics.asked == [], "a start has more urgent things to do"
    await scene.later(METRICS_FIRST)
    assert scene.letters() == ["SES could not store mail that it had accepted"]
    assert "PublishExpired: 2" in scene.text()
    await scene.later(METRICS_EVERY - 600)
    assert len(scene.metrics.asked) == 1
    await scene.later(600)
    assert len(scene.metrics.asked) == 2
    assert scene.metrics.asked[0][0] is None
    assert scene.metrics.asked[1][0] is not None, "it goes on where it was"


async def test_metrics_that_may_not_be_read_are_shown_and_alarm_nobody(scene: Scene) -> None:
    scene.home.ledger.overview.source_ok("poll")
    scene.metrics.trouble = CredentialsError("The credentials may not read the metrics.")
    await scene.later(3000)
    assert scene.letters() == []
    (metrics,) = [s for s in scene.home.ledger.overview.sources() if s.source == METRICS]
    assert metrics.problem == "The credentials may not read the metrics."
    assert scene.home.log.events("warning") == ["the metrics of SES cannot be read"]


# The watch itself


async def test_a_ledger_in_trouble_ends_nothing(scene: Scene) -> None:
    def refuse(*_: object) -> Any:
        raise TryLaterError("The disk is full.")

    scene.home.ledger.incidents.to_tell = refuse  # type: ignore[method-assign]
    await scene.watch.look()
    assert scene.home.log.events("error") == ["alerts cannot be written"]


async def test_a_bug_is_left_to_the_supervisor_which_shows_it_in_status(scene: Scene) -> None:
    def fail(*_: object) -> Any:
        raise ZeroDivisionError

    scene.home.ledger.incidents.to_tell = fail  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await scene.watch.look()


async def test_someone_may_ask_for_a_look(scene: Scene) -> None:
    running = asyncio.create_task(scene.watch.run())
    await asyncio.sleep(0.05)
    scene.home.ledger.incidents.happened([Incident(Cause.BOUNCES, "x", NOW, "detail")])
    scene.watch.soon()
    await until(scene.letters)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_every_cause_is_an_option(scene: Scene) -> None:
    assert scene.settings({}).alerts.wanted == tuple(Cause)
