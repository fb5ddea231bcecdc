"""Who gets a place, and who must give his."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from postamt_sync.http.connection_table import ORDINARY, UNDISTURBED, ConnectionTable
from postamt_sync.http.peers import Peer

ANNA, BERT, CARL = Peer("192.0.2.1"), Peer("192.0.2.2"), Peer("192.0.2.3")
PROXY = Peer("127.0.0.1", bounded=False)


class Guest:
    """A connection that knows whether it was sent away."""

    def __init__(self) -> None:
        self.evicted = ""

    def evict(self, reason: str) -> None:
        self.evicted = reason


class Inn:
    """A table, and a clock that goes on as it is told."""

    def __init__(self, places: int = 6, per_peer: int = 3, octets: int = 1000) -> None:
        self.now = 0.0
        self.table = ConnectionTable(places, per_peer, octets, lambda: self.now)

    def enter(self, peer: Peer, count: int = 1) -> list[Guest]:
        """Let some in, a second after each other."""
        guests = [Guest() for _ in range(count)]
        for guest in guests:
            self.now += 1
            assert self.table.enter(guest, peer)
        return guests


def test_a_peer_over_its_bound_loses_its_own_longest_idle() -> None:
    inn = Inn()
    berts, annas = inn.enter(BERT), inn.enter(ANNA, 4)
    assert [bool(guest.evicted) for guest in annas] == [True, False, False, False]
    assert not berts[0].evicted
    assert len(inn.table) == 4


def test_progress_makes_young() -> None:
    inn = Inn()
    annas = inn.enter(ANNA, 3)
    inn.now += 1
    inn.table.idle(annas[0])
    inn.enter(ANNA)
    assert annas[1].evicted
    assert not annas[0].evicted


def test_octets_make_nobody_young() -> None:
    inn = Inn()
    annas = inn.enter(ANNA, 3)
    inn.now += 1
    inn.table.received(annas[0], 1)
    inn.enter(ANNA)
    assert annas[0].evicted


def test_who_holds_the_most_gives_way_first() -> None:
    inn = Inn()
    berts, annas = inn.enter(BERT, 2), inn.enter(ANNA, 3)
    inn.enter(PROXY)
    inn.enter(CARL)
    assert annas[0].evicted
    assert not any(guest.evicted for guest in (*berts, *annas[1:]))


def test_among_equals_the_longest_idle() -> None:
    inn = Inn(places=2)
    bert, anna = inn.enter(BERT), inn.enter(ANNA)
    inn.enter(CARL)
    assert bert[0].evicted
    assert not anna[0].evicted


def test_complete_requests_are_never_sent_away() -> None:
    inn = Inn(places=3, per_peer=2)
    annas, berts = inn.enter(ANNA, 2), inn.enter(BERT)
    for guest in annas:
        inn.table.busy(guest)
    inn.now += 1
    assert not inn.table.enter(Guest(), ANNA), "all of its places are in use"
    inn.table.busy(berts[0])
    assert inn.table.seconds_to_room() == math.inf
    assert not inn.table.enter(Guest(), CARL)
    inn.table.idle(annas[0])
    assert inn.table.seconds_to_room() == pytest.approx(UNDISTURBED)
    inn.now += UNDISTURBED + 0.01
    assert inn.table.seconds_to_room() == 0
    assert inn.table.enter(Guest(), CARL)
    assert annas[0].evicted
    assert not annas[1].evicted
    assert not berts[0].evicted


def test_who_has_only_just_come_is_left_alone() -> None:
    inn = Inn(places=2, per_peer=1)
    annas, berts = inn.enter(ANNA), inn.enter(BERT)
    inn.now += UNDISTURBED / 2
    assert not inn.table.enter(Guest(), BERT)
    assert inn.table.seconds_to_room() == 0, "Anna's has been idle for a second"
    assert inn.table.enter(Guest(), CARL)
    assert annas[0].evicted
    assert not berts[0].evicted


def test_a_bound_that_is_none_where_there_are_no_more_places() -> None:
    inn = Inn(places=3, per_peer=3)
    annas = inn.enter(ANNA, 3)
    assert inn.table.seconds_to_room() == 0
    inn.enter(ANNA)
    assert annas[0].evicted


def test_requests_behind_a_proxy_count_for_whom_it_forwards() -> None:
    inn = Inn(places=20, per_peer=3)
    wires = inn.enter(PROXY, 10)
    for wire in wires[:3]:
        assert inn.table.begin(wire, ANNA)
    inn.now += 1
    assert inn.table.begin(wires[3], BERT)
    assert not any(wire.evicted for wire in wires)
    assert inn.table.begin(wires[4], ANNA)
    assert wires[0].evicted
    for wire in (wires[1], wires[2], wires[4]):
        inn.table.busy(wire)
    inn.now += 1
    assert not inn.table.begin(wires[5], ANNA)
    assert not wires[5].evicted, "the proxy's connection is the next one's too"
    inn.table.idle(wires[1], PROXY)
    assert inn.table.begin(wires[5], ANNA)


def test_who_was_sent_away_begins_nothing() -> None:
    inn = Inn(places=1)
    anna = inn.enter(ANNA)
    inn.enter(BERT)
    assert not inn.table.begin(anna[0], ANNA)
    inn.table.busy(anna[0])
    inn.table.idle(anna[0], ANNA)
    inn.table.received(anna[0], 10**9)
    inn.table.leave(anna[0])
    assert len(inn.table) == 1


def test_large_incomplete_requests_are_bounded_together() -> None:
    inn = Inn(places=20, per_peer=19, octets=1000)
    small, large, larger = inn.enter(BERT), inn.enter(ANNA, 2), inn.enter(CARL)
    inn.table.received(small[0], ORDINARY)
    for guest in large:
        inn.table.received(guest, ORDINARY + 400)
    inn.table.received(larger[0], ORDINARY + 201)
    assert large[0].evicted
    assert not any(guest.evicted for guest in (*small, *large[1:], *larger))
    inn.table.busy(large[1])
    inn.table.received(larger[0], 10_000)
    assert larger[0].evicted, "nobody else is to blame"
    assert not large[1].evicted
    inn.table.idle(large[1])
    inn.table.received(large[1], 10)
    assert not large[1].evicted, "an answered request no longer counts"


class Traffic(RuleBasedStateMachine):
    """Connections that do anything at any time; the bounds hold, and complete requests stay."""

    guests = Bundle("guests")

    def __init__(self) -> None:
        super().__init__()
        self.inn = Inn(places=5, per_peer=2, octets=500)
        self.complete: set[Guest] = set()
        self.whose: dict[Guest, Peer] = {}

    @rule(target=guests, peer=st.sampled_from([ANNA, BERT, CARL, PROXY]))
    def enter(self, peer: Peer) -> Guest:
        guest = Guest()
        if self.inn.table.enter(guest, peer):
            self.whose[guest] = peer
        return guest

    @rule(guest=guests, peer=st.sampled_from([ANNA, BERT, CARL]))
    def begin(self, guest: Guest, peer: Peer) -> None:
        if guest not in self.complete and self.inn.table.begin(guest, peer):
            self.whose[guest] = peer

    @rule(guest=guests)
    def complete_it(self, guest: Guest) -> None:
        self.inn.table.busy(guest)
        self.complete |= {guest} & self.whose.keys()

    @rule(guest=guests)
    def answer(self, guest: Guest) -> None:
        self.inn.table.idle(guest)
        self.complete.discard(guest)

    @rule(guest=guests)
    def leave(self, guest: Guest) -> None:
        self.inn.table.leave(guest)
        self.complete.discard(guest)
        self.whose.pop(guest, None)

    @rule(guest=guests, octets=st.sampled_from([1, ORDINARY, ORDINARY + 400]))
    def receive(self, guest: Guest, octets: int) -> None:
        self.inn.table.received(guest, octets)

    @rule(seconds=st.sampled_from([UNDISTURBED / 2, UNDISTURBED]))
    def wait(self, seconds: float) -> None:
        self.inn.now += seconds

    @invariant()
    def bounds(self) -> None:
        self.whose = {guest: peer for guest, peer in self.whose.items() if not guest.evicted}
        assert self.complete <= self.whose.keys()
        assert len(self.inn.table) == len(self.whose) <= 5
        held = Counter(self.whose.values())
        assert all(held[peer] <= 2 for peer in (ANNA, BERT, CARL))


TestTraffic = pytest.mark.slow(Traffic.TestCase)
