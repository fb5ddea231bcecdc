"""The places for connections: how many there are, how many a peer may have, and who must give way.

When places run out, the connection goes that has been idle longest, of the peer that holds the most
of them. Idle is what carries no complete request, and it has been so since it last got somewhere:
accepted, encrypted, all headers come, answered. Bytes alone get nobody anywhere. A complete request
is never sent away, for it may be on its way into the ledger; nor is who has only just come, or a
burst of true requests would drive itself out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from postamt_sync.http.peers import Peer

ORDINARY = 64 * 1024
"""Octets that any connection may have sent of a request that is not complete yet."""

UNDISTURBED = 0.1
"""Seconds of idleness that nobody is sent away for."""

FOR_ANOTHER = "All places were taken: the longest idle connection was closed."
FOR_ITS_PEER = "Too many connections of one peer: the longest idle one was closed."
FOR_MEMORY = "Too much of incomplete requests: the longest idle large one was closed."


class Occupant(Protocol):
    """What holds a place."""

    def evict(self, reason: str) -> None:
        """Close at once. The place has been taken back already."""


@dataclass(slots=True)
class _Place:
    peer: Peer
    since: float
    octets: int = 0


@dataclass(slots=True)
class _Held:
    """What one peer holds. `idle` has the longest idle first."""

    idle: dict[Occupant, None] = field(default_factory=dict)
    busy: set[Occupant] = field(default_factory=set)
    excess: int = 0

    def __len__(self) -> int:
        return len(self.idle) + len(self.busy)


class ConnectionTable:
    """Knows every connection, whom it counts for, and since when it has been idle.

    `octets` bounds what all incomplete requests together may take beyond `ORDINARY` each.
    """

    def __init__(
        self,
        places: int,
        per_peer: int,
        octets: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = places
        self._per_peer = per_peer
        self._octets = octets
        self._clock = clock
        self._places: dict[Occupant, _Place] = {}
        self._held: dict[Peer, _Held] = {}
        self._excess = 0

    def __len__(self) -> int:
        return len(self._places)

    def seconds_to_room(self) -> float:
        """Return after how long a newcomer finds a place; infinite while all requests are complete.

        Sooner if one is answered or leaves.
        """
        if len(self) < self._size:
            return 0
        soonest = math.inf
        for held in self._with_idle():
            seconds = self._undisturbed_for(held)
            if not seconds:
                return 0
            soonest = min(soonest, seconds)
        return soonest

    def make_room(self, peer: Peer) -> bool:
        """See to a place for a newcomer, if need be another's; False if he must be turned away.

        That is where his peer has all its places in use, or nobody has any to give.
        """
        if not self._make_room_within(peer):
            return False
        return len(self) < self._size or self.evict_idle(FOR_ANOTHER)

    def enter(self, occupant: Occupant, peer: Peer) -> bool:
        """Give a place, after making room for it; False if there is none."""
        if not self.make_room(peer):
            return False
        self._places[occupant] = _Place(peer, self._clock())
        self._held.setdefault(peer, _Held()).idle[occupant] = None
        return True

    def leave(self, occupant: Occupant) -> None:
        """Take the place back; nothing happens where that was done before."""
        place = self._places.get(occupant)
        if place is None:
            return
        self._weigh(place, 0)
        del self._places[occupant]
        held = self._held[place.peer]
        held.idle.pop(occupant, None)
        held.busy.discard(occupant)
        if not held:
            del self._held[place.peer]

    def begin(self, occupant: Occupant, peer: Peer) -> bool:
        """All headers of a request have come: from now on the connection counts for `peer`.

        False if this peer has all its places in use; then nothing has changed.
        """
        place = self._places.get(occupant)
        if place is None:
            return False
        if peer != place.peer and not self._make_room_within(peer):
            return False
        self._move(occupant, place, peer)
        return True

    def busy(self, occupant: Occupant) -> None:
        """The request is complete: until it is answered, the place cannot be taken away."""
        place = self._places.get(occupant)
        if place is not None:
            held = self._held[place.peer]
            held.idle.pop(occupant, None)
            held.busy.add(occupant)

    def idle(self, occupant: Occupant, peer: Peer | None = None) -> None:
        """The connection got somewhere, and is idle from now on; it counts for `peer` again."""
        place = self._places.get(occupant)
        if place is not None:
            self._weigh(place, 0)
            self._move(occupant, place, peer or place.peer)

    def received(self, occupant: Occupant, octets: int) -> None:
        """Count what has come of a request. Too much in all: someone has to go, maybe this one."""
        place = self._places.get(occupant)
        if place is None:
            return
        self._weigh(place, place.octets + octets)
        while self._excess > self._octets:
            if not self._evict_large():
                return

    def evict_idle(self, reason: str) -> bool:
        """Close the longest idle connection of the peer that holds the most places, if any."""
        most, rank = None, (0, 0.0)
        now = self._clock()
        for held in self._with_idle():
            seconds = now - self._longest_idle(held)
            if seconds >= UNDISTURBED and (len(held), seconds) > rank:
                most, rank = held, (len(held), seconds)
        if most is None:
            return False
        self._evict(next(iter(most.idle)), reason)
        return True

    def _make_room_within(self, peer: Peer) -> bool:
        held = self._held.get(peer)
        bounded = peer.bounded and self._per_peer < self._size
        if not bounded or held is None or len(held) < self._per_peer:
            return True
        if not held.idle or self._undisturbed_for(held):
            return False
        self._evict(next(iter(held.idle)), FOR_ITS_PEER)
        return True

    def _with_idle(self) -> Iterator[_Held]:
        return (held for held in self._held.values() if held.idle)

    def _undisturbed_for(self, held: _Held) -> float:
        seconds = self._clock() - self._longest_idle(held)
        return 0 if seconds >= UNDISTURBED else UNDISTURBED - seconds

    def _longest_idle(self, held: _Held) -> float:
        return self._places[next(iter(held.idle))].since

    def _evict_large(self) -> bool:
        for held in sorted(self._held.values(), key=lambda held: -held.excess):
            for occupant in held.idle:
                if self._places[occupant].octets > ORDINARY:
                    self._evict(occupant, FOR_MEMORY)
                    return True
        return False

    def _evict(self, occupant: Occupant, reason: str) -> None:
        self.leave(occupant)
        occupant.evict(reason)

    def _move(self, occupant: Occupant, place: _Place, peer: Peer) -> None:
        if peer == place.peer:
            place.since = self._clock()
            held = self._held[peer]
            held.idle.pop(occupant, None)
            held.busy.discard(occupant)
            held.idle[occupant] = None  # as the last one
            return
        octets = place.octets
        self.leave(occupant)
        moved = self._places[occupant] = _Place(peer, self._clock())
        self._held.setdefault(peer, _Held()).idle[occupant] = None
        self._weigh(moved, octets)

    def _weigh(self, place: _Place, octets: int) -> None:
        grown = max(0, octets - ORDINARY) - max(0, place.octets - ORDINARY)
        place.octets = octets
        self._held[place.peer].excess += grown
        self._excess += grown
