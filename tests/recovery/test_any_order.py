"""A lost or old ledger, and whatever is heard of the mail in whatever order: per mail and mailbox.

What lies at home stays, once. What does not, and is at least as new as the newest of its mailbox,
comes, once. What is older stays away, whoever else has it and however late its envelope comes.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postamt_sync.config import load
from postamt_sync.ledger import ObjectState
from postamt_sync.ledger.backup import back_up, put_back
from postamt_sync.mail.arrival import Arrival, Envelope, Source
from postamt_sync.recovery.completion import complete_from_maildirs, end_rebuild
from tests.delivery.home import BUCKET, Home
from tests.doubles.notices import stored
from tests.support.campaign import examples
from tests.support.household import configuration, configure

pytestmark = pytest.mark.slow

PEOPLE = ("anna", "bruno", "carla")
SINCE = 1_700_000_000.0


@dataclass(frozen=True)
class Fate:
    """What became of one mail before the loss. `at` in seconds.

    `people` are those it is for; its Received names the first. `kept` still have their copy,
    `began` were just being given theirs. `lent` has a copy that someone else put there.
    """

    at: int
    people: tuple[str, ...]
    kept: frozenset[str]
    began: frozenset[str] = frozenset()
    lent: str = ""
    folder: str = ""
    before_copy: bool = True


@st.composite
def fates(draw: st.DrawFn) -> Fate:
    people = tuple(draw(st.permutations(PEOPLE)))[: draw(st.integers(1, 3))]
    kept = draw(st.frozensets(st.sampled_from(people)))
    gone = sorted(set(people) - kept)
    others = sorted(set(PEOPLE) - set(people))
    return Fate(
        at=draw(st.integers(0, 6)),
        people=people,
        kept=kept,
        began=draw(st.frozensets(st.sampled_from(gone), max_size=1)) if gone else frozenset(),
        lent=draw(st.sampled_from(["", *others])),
        folder=draw(st.sampled_from(["", ".Junk", ".Archive.2024"])),
        before_copy=draw(st.booleans()),
    )


NUMBER = st.integers(0, 4)
STEP = st.one_of(
    st.tuples(st.sampled_from(["list", "event", "twin", "receipt", "part", "index"]), NUMBER),
    st.tuples(st.sampled_from(["deliver", "restart", "cut", "end"]), st.just(0)),
)


class World:
    """Mails 0, 1, ... of these fates."""

    def __init__(self, base: Path, mails: list[Fate], *, copy: bool) -> None:
        self.base = base
        self.mails = mails
        self.copy = copy
        self.home = Home(base, PEOPLE)
        self.ended = False
        self.told_at_end: set[int] = set()
        self.told: set[int] = set()
        text = configuration(
            base,
            people=PEOPLE,
            maildirs=base / "mail",
            bucket=BUCKET,
            addresses={name: [f"{name}@home.example"] for name in PEOPLE},
        )
        self.settings = load(configure(base, text), {})

    def key(self, number: int) -> str:
        return f"incoming/m{number}"

    def arrival(self, number: int, source: Source = Source.RECONCILE) -> Arrival:
        stored_object = self.home.bucket.objects[self.key(number)]
        return Arrival(
            BUCKET,
            self.key(number),
            source,
            stored_object.etag,
            stored_object.size,
            stored_object.last_modified,
        )

    async def live(self) -> None:
        """All mail comes; then the ledger is lost, and of some copies no name is left."""
        for name in PEOPLE:
            self.home.mailboxes.ready(name)
        first = [n for n, fate in enumerate(self.mails) if fate.before_copy]
        rest = [n for n in range(len(self.mails)) if n not in first]
        for numbers in (first, rest):
            for number in numbers:
                fate = self.mails[number]
                body = stored(
                    f"m{number}", {"Subject": f"m{number}"}, f"{fate.people[0]}@home.example"
                )
                self.home.bucket.put(self.key(number), body, SINCE + fate.at)
                self.home.ledger.arrivals.record([self.arrival(number)])
                self.home.announce(self.key(number), *fate.people)
            await self.home.deliver()
            if numbers is first:
                complete_from_maildirs(
                    self.settings, self.home.ledger, self.home.events
                )  # as a start does
                back_up(self.base / "state", self.base)
        for number, fate in enumerate(self.mails):
            for name in fate.people:
                self._befall(number, name, fate)
        self.home.ledger.close()
        shutil.rmtree(self.base / "state")
        (self.base / "state").mkdir()
        if self.copy:
            assert put_back(self.base / "state", [self.base])
        self.start()

    def _befall(self, number: int, name: str, fate: Fate) -> None:
        (path,) = [p for p in self.home.mails(name) if self._is(number, p)]
        if fate.lent and name == fate.people[0]:
            shutil.copy(path, self.home.root(fate.lent) / "cur" / f"{path.name}:2,S")
        if name in fate.kept:
            if fate.folder:
                folder = self.home.root(name) / fate.folder
                for part in ("tmp", "new", "cur"):
                    (folder / part).mkdir(parents=True, exist_ok=True)
                path.rename(folder / "cur" / f"{path.name}:2,FS")
        elif name in fate.began:
            path.rename(self.home.root(name) / "tmp" / path.name.partition(",")[0])
        else:
            path.unlink()

    def _is(self, number: int, path: Path) -> bool:
        return path.read_bytes() == self.home.bucket.objects[self.key(number)].body

    def start(self) -> None:
        self.home.reopen()
        complete_from_maildirs(self.settings, self.home.ledger, self.home.events)
        self.home.ledger.work.make_all_due()

    async def do(self, what: str, number: int) -> None:
        if what in {"list", "event", "twin", "receipt", "part", "index"}:
            self.hear(what, number % len(self.mails))
        elif what == "deliver":
            await self.home.deliver()
        elif what == "restart":
            self.start()
        else:
            await self.end(cut=what == "cut")

    def hear(self, what: str, number: int) -> None:
        arrivals, fate, key = self.home.ledger.arrivals, self.mails[number], self.key(number)
        match what:
            case "list":
                arrivals.record([self.arrival(number)])
            case "event":
                self.home.announce(key, etag=self.arrival(number).etag)
            case "twin":
                twin = Arrival(BUCKET, key, Source.POLL, self.arrival(number).etag)
                arrivals.record_twins([twin])
            case "receipt":
                self.home.announce(key, *fate.people)
                self.told.add(number)
            case "part":
                self.home.announce(key, fate.people[-1])
            case "index":
                envelope = Envelope(tuple(f"{name}@home.example" for name in fate.people))
                arrivals.record([Arrival(BUCKET, key, Source.INDEX, envelope=envelope)])
                self.told.add(number)

    async def end(self, *, cut: bool = False) -> None:
        for number in range(len(self.mails)):
            self.hear("list", number)
        if cut:
            self.start()
            return
        if not self.ended:
            self.told_at_end = set(self.told)
            self.ended = True
        end_rebuild(self.settings, self.home.ledger, self.home.events)

    async def come_to_rest(self) -> None:
        await self.end()
        await self.home.deliver()
        for _ in range(2):
            for number, fate in enumerate(self.mails):
                if len(fate.people) > 1:  # of the others SES's own Received says enough
                    self.hear("receipt", number)
            await self.home.deliver()

    def copies(self) -> dict[str, Counter[int]]:
        found: dict[str, Counter[int]] = {name: Counter() for name in PEOPLE}
        for name in PEOPLE:
            for path in self.home.mails(name):
                (number,) = [n for n in range(len(self.mails)) if self._is(n, path)]
                found[name][number] += 1
        return found

    def newest(self, name: str, *, certain: bool) -> int:
        """When the newest mail came that a mailbox has; `certain`: that is known to be its own."""
        return max(
            (
                fate.at
                for number, fate in enumerate(self.mails)
                if name in fate.kept
                and (not certain or name == fate.people[0] or number in self.told_at_end)
            ),
            default=-1,
        )

    def check(self, *, at_rest: bool) -> None:
        for name, found in self.copies().items():
            for number, fate in enumerate(self.mails):
                count = found[number]
                what = (name, number, fate)
                if name not in fate.people:
                    assert count == (name == fate.lent), what
                elif name in fate.kept:
                    assert count == 1, what
                else:
                    assert count <= 1, what
                    if self.known(fate):
                        assert count == 0, what  # the copy of the ledger knows it as delivered
                    elif at_rest and (
                        self.copy
                        or name in fate.began
                        or fate.at >= self.newest(name, certain=False)
                    ):
                        assert count == 1, what
                    elif self.is_older(name, fate):
                        assert count == 0, what

    def is_older(self, name: str, fate: Fate) -> bool:
        """Whether a copy that is gone must stay away."""
        named = name in fate.began
        return not self.copy and not named and fate.at < self.newest(name, certain=True)

    def known(self, fate: Fate) -> bool:
        return self.copy and fate.before_copy

    def check_accounts(self) -> None:
        """Every recipient's mailbox is accounted for, as verify wants it."""
        listed = self.home.ledger.inventory.between(BUCKET, "", None)
        copies = self.copies()
        for known in listed:
            fate = self.mails[int(known.key.removeprefix("incoming/m"))]
            if known.state is ObjectState.ABSENT and not known.recipients and not known.absent:
                assert len(fate.people) == 1, known  # whose it is was not to be found out
                assert not copies[fate.people[0]][self.mails.index(fate)], known
                continue
            given = {copy.mailbox for copy in known.copies}
            assert given | set(known.absent) >= set(fate.people), known
            assert not given & set(known.absent), known
            assert not known.owed, known
            lacking = {n for n in fate.people if not copies[n][self.mails.index(fate)]}
            if not self.copy and self.mails.count(fate) == 1:
                assert set(known.absent) & set(fate.people) == lacking, known


BOTH = ("anna", "bruno")
MISSED = Fate(3, BOTH, frozenset({"bruno"}))
HIS_OLDER, HER_NEWER = (
    Fate(1, ("bruno",), frozenset({"bruno"})),
    Fate(6, ("anna",), frozenset({"anna"})),
)
HER_OLDER = Fate(0, ("anna",), frozenset())
FOR_BOTH_KEPT_BY_HER = Fate(1, BOTH, frozenset({"anna"}))
STUCK = Fate(4, ("bruno",), frozenset())


@settings(max_examples=examples(40), deadline=None)
@example([MISSED], [("receipt", 0), ("list", 0)], False)
@example([MISSED], [("twin", 0), ("receipt", 0), ("restart", 0)], False)
@example([HIS_OLDER, HER_NEWER, STUCK], [], False)
@example([HIS_OLDER, HER_NEWER, STUCK], [("end", 0), ("deliver", 0), ("index", 2)], False)
@example([Fate(2, BOTH, frozenset()), HER_NEWER], [("end", 0), ("index", 0)], False)
@example([MISSED, HIS_OLDER], [("receipt", 0)], True)
@example([HER_OLDER, FOR_BOTH_KEPT_BY_HER], [("part", 1)], False)
@given(
    mails=st.lists(fates(), min_size=1, max_size=5),
    steps=st.lists(STEP, max_size=10),
    copy=st.booleans(),
)
def test_nothing_is_lost_and_nothing_comes_back(
    mails: list[Fate], steps: list[tuple[str, int]], copy: bool
) -> None:
    async def live(base: Path) -> None:
        world = World(base, mails, copy=copy)
        try:
            await world.live()
            for what, number in steps:
                await world.do(what, number)
                world.check(at_rest=False)
            await world.come_to_rest()
            world.check(at_rest=True)
            world.check_accounts()
        finally:
            world.home.close()

    with tempfile.TemporaryDirectory() as base:
        asyncio.run(live(Path(base)))
