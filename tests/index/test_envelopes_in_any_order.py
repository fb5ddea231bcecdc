"""Whatever happens in whatever order, with an index that fails now and then: mail goes where the
envelope says, once, and what the envelope cannot say is guessed only after the index was asked.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postamt_sync.errors import TryLaterError
from postamt_sync.ledger.envelope_lookups import PATIENCE
from postamt_sync.mail.arrival import Arrival, Envelope
from tests.doubles.notices import stored
from tests.index.test_lookups import ANNA, BRUNO, GRACE, TO_BRUNO, TO_NOBODY, Scene
from tests.support.campaign import examples

pytestmark = pytest.mark.slow

STEPS = 14
PAUSES = (20.0, 400.0, 1_000.0)
assert STEPS * max(PAUSES) < PATIENCE  # so nobody may guess because the index was silent

BODIES = {
    "bcc": stored("bcc", {"To": "list@y.example"}, recipient=ANNA),
    "unmarked": TO_NOBODY,
    "foreign": TO_BRUNO,
}
KNOWN = {
    "incoming/bcc": Envelope((ANNA, BRUNO)),
    "incoming/unmarked": Envelope((BRUNO,)),
}
WHERE = {
    "anna": [BODIES["bcc"]],
    "bruno": sorted(BODIES.values()),
}

names = st.sampled_from(sorted(BODIES))
step = st.one_of(
    st.tuples(st.sampled_from(["find", "event"]), names),
    st.tuples(st.just("receipt"), st.sampled_from(["bcc", "unmarked"])),
    st.tuples(st.just("pass by"), st.sampled_from(PAUSES)),
    st.tuples(st.sampled_from(["deliver", "ask", "restart", "fail", "recover"]), st.none()),
)


class World(Scene):
    """Three mails, two of which the index knows after a while; they are listed and announced at
    will.
    """

    def __init__(self, base: Path, age: float) -> None:
        super().__init__(base)
        self.stored: dict[str, Arrival] = {
            name: self.put(name, body, age) for name, body in BODIES.items()
        }
        self.indexed_at = self.wall - age + GRACE / 2

    def index_what_is_old_enough(self) -> None:
        if self.wall >= self.indexed_at:
            self.index.known = dict(KNOWN)

    async def list(self, name: str) -> None:
        """Take the mail in as the survey does: only if it is news."""
        entry = self.stored[name]
        page = [(entry.key, entry.etag or "", False)]
        if self.home.ledger.arrivals.unknown(entry.bucket, page):
            await self.find(entry)

    async def do(self, what: str, argument: object) -> None:
        self.index_what_is_old_enough()
        name = str(argument)
        match what:
            case "find":
                await self.list(name)
            case "event":
                self.home.announce(f"incoming/{name}", etag=self.stored[name].etag)
            case "receipt":
                people = [r.partition("@")[0] for r in KNOWN[f"incoming/{name}"].recipients]
                self.home.announce(f"incoming/{name}", *people)
            case "pass by":
                self.pass_by(float(name))
            case "deliver":
                await self.deliver()
            case "ask":
                await self.envelopes.ask()
            case "restart":
                self.now = 1.0  # the machine was switched off
                self.home.reopen()
                self.start()
                self.home.ledger.work.make_all_due()
                await self.envelopes.restart()
            case "fail":
                self.index.trouble = TryLaterError("The index is silent.")
            case "recover":
                self.index.trouble = None

    async def come_to_rest(self) -> None:
        self.index.trouble = None
        for name in BODIES:
            await self.do("find", name)
        for seconds in (0.0, *PAUSES, GRACE):
            self.pass_by(seconds)
            await self.do("ask", None)
            await self.do("deliver", None)

    def bodies(self) -> dict[str, list[bytes]]:
        return {name: sorted(self.home.bodies(name)) for name in ("anna", "bruno")}


FAIL, DELIVER, ASK, RESTART = ((word, None) for word in ("fail", "deliver", "ask", "restart"))


@settings(max_examples=examples(60), deadline=None)
@example([("event", "bcc"), DELIVER], 0.0)
@example([FAIL, ("find", "unmarked"), DELIVER], 1e6)
@example([("find", "unmarked"), DELIVER, FAIL, ("pass by", 1000.0), ASK, DELIVER], 0.0)
@example([("find", "unmarked"), DELIVER, ("pass by", 20.0), RESTART, DELIVER, ASK, DELIVER], 0.0)
@example([("find", "bcc"), DELIVER, ("pass by", 1000.0), RESTART], 0.0)
@given(steps=st.lists(step, min_size=3, max_size=STEPS), age=st.sampled_from([0.0, GRACE / 2, 1e6]))
def test_mail_goes_where_the_envelope_says_whatever_happens_first(
    steps: list[tuple[str, object]], age: float
) -> None:
    async def live(base: Path) -> None:
        world = World(base, age)
        try:
            for what, argument in steps:
                await world.do(what, argument)
                for name, bodies in world.bodies().items():
                    # Nothing twice, nothing guessed, not even for a while.
                    assert len(bodies) == len(set(bodies))
                    assert set(bodies) <= set(WHERE[name])
            await world.come_to_rest()
            assert world.bodies() == WHERE
            assert world.home.ledger.envelope_lookups.count() == 0
        finally:
            world.home.close()

    with tempfile.TemporaryDirectory() as base:
        asyncio.run(live(Path(base)))


@pytest.mark.parametrize("age", [0.0, 1e6])
async def test_the_world_comes_to_rest_by_itself(tmp_path: Path, age: float) -> None:
    world = World(tmp_path, age)
    await world.come_to_rest()
    assert world.bodies() == WHERE
    world.home.close()
