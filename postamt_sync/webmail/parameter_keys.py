"""Keys in SSM parameters: read all at once, cached for a while, read again when none fits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.webmail.key_ring import KeyRing

KEPT_SECONDS = 300
"""Seconds for which keys are taken for the current ones."""
PAUSE_SECONDS = 5
"""Seconds between two looks for newer keys, which strangers can cause by sending nonsense."""


class NoKeysError(BotoCoreError):
    """A parameter does not exist, or has no keys in it."""

    fmt = "The parameter {name} bears no keys"


class ParameterKeys:
    """The key rings in several parameters. May be used from many threads."""

    def __init__(self, client: Any, names: Sequence[str], clock: Callable[[], float]) -> None:
        self._client = client
        self._names = tuple(names)
        self._clock = clock
        self._rings: Mapping[str, KeyRing] = {}
        self._asked_at = 0.0
        self._asking = threading.Lock()

    def of(self, name: str) -> ParameterKeyRing:
        """Return the keys in one of the parameters."""
        return ParameterKeyRing(self, name)

    def ring(self, name: str) -> KeyRing:
        """Return a ring as it was at most KEPT_SECONDS ago or, if SSM fails, when it last answered.

        While nothing is known, this raises what SSM raises, or NoKeysError.
        """
        with self._asking:
            if not self._rings:
                self._read()
            elif self._clock() - self._asked_at >= KEPT_SECONDS:
                self._read_if_possible()
            return self._rings[name]

    def newer(self, name: str) -> bool:
        """Read again, unless that was done a moment ago; tell whether the ring has changed."""
        with self._asking:
            before = self._rings.get(name)
            if self._clock() - self._asked_at < PAUSE_SECONDS:
                return False
            self._read_if_possible()
            return self._rings.get(name) != before

    def _read_if_possible(self) -> None:
        try:
            self._read()
        except (BotoCoreError, ClientError):
            if not self._rings:
                raise

    def _read(self) -> None:
        self._asked_at = self._clock()
        answer = self._client.get_parameters(Names=list(self._names), WithDecryption=True)
        found = {each["Name"]: each["Value"] for each in answer["Parameters"]}
        rings = {}
        for name in self._names:
            try:
                rings[name] = KeyRing.from_text(found[name])
            except (KeyError, ValueError):
                raise NoKeysError(name=name) from None
        self._rings = rings


class ParameterKeyRing:
    """The keys in one parameter."""

    def __init__(self, parameters: ParameterKeys, name: str) -> None:
        self._parameters = parameters
        self._name = name

    def current(self) -> Sequence[bytes]:
        return self._parameters.ring(self._name).keys

    def newer(self) -> bool:
        return self._parameters.newer(self._name)

    @property
    def words(self) -> tuple[str, ...]:
        """The keys in the form for a header."""
        return self._parameters.ring(self._name).words
