"""How a source is doing is noted when it changes, and now and then while it does not."""

from __future__ import annotations

from typing import Any

from postamt_sync.errors import CredentialsError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.source_notes import SourceNotes


class Recorder:
    """A log that remembers the events of each level."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **_: self.said.append(event)


class Scene:
    def __init__(self, ledger: Ledger, every: float = 0.0) -> None:
        self.now = 100.0
        self.log = Recorder()
        self.ledger = ledger
        self.notes = SourceNotes(
            ledger.overview, Events(self.log), "queue", every=every, clock=lambda: self.now
        )

    @property
    def health(self) -> Any:
        (health,) = self.ledger.overview.sources()
        return health


async def test_trouble_is_noted_until_all_is_well(ledger: Ledger) -> None:
    scene = Scene(ledger)
    await scene.notes.bad(CredentialsError("AWS does not know our access key."))
    assert scene.health.problem == "AWS does not know our access key."
    assert scene.health.refused
    await scene.notes.well("3 taken")
    assert (scene.health.problem, scene.health.detail) == (None, "3 taken")
    assert not scene.health.refused


async def test_while_all_is_well_it_is_noted_now_and_then(ledger: Ledger) -> None:
    scene = Scene(ledger, every=60)
    await scene.notes.well("1")
    scene.now += 59
    await scene.notes.well("2")
    assert scene.health.detail == "1"
    scene.now += 1
    await scene.notes.well("3")
    assert scene.health.detail == "3"


async def test_recovery_is_noted_at_once(ledger: Ledger) -> None:
    scene = Scene(ledger, every=60)
    await scene.notes.well("1")
    await scene.notes.bad(TryLaterError("The network is gone."))
    assert scene.health.problem
    await scene.notes.well("2")
    assert (scene.health.problem, scene.health.detail) == (None, "2")


async def test_what_the_ledger_refuses_is_logged_and_noted_the_next_time(ledger: Ledger) -> None:
    scene = Scene(ledger, every=60)
    await scene.notes.bad("lost")
    ledger.close()
    await scene.notes.well("1")
    assert len(scene.log.said) == 1
