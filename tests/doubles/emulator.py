"""The demo's emulator, there at once: a copy of one that has loaded moto already."""

from __future__ import annotations

import asyncio
from typing import Self

from postamt_sync.demo.emulator import Emulator
from tests.doubles.moto import Moto


class LoadedEmulator(Emulator):
    """In the place of a process of its own, which takes two seconds of CPU to load moto."""

    async def __aenter__(self) -> Self:
        self._moto = await asyncio.to_thread(Moto)
        self.url = self._moto.url
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._moto.close)
