"""The options of sealing: their names, types, defaults and an example each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from postamt_sync.config.section import Section
from postamt_sync.config.values import KeyFile, OneOrMany

KeyFiles = Annotated[tuple[KeyFile, ...], OneOrMany]


class SealSettings(Section):
    """Encryption at rest with the owner's OpenPGP keys, which `bootstrap` builds; no key, none.

    `keys` are certificates without secrets, as `Settings.seal_keys` finds them. `after` and `undo`
    are days.
    """

    keys: KeyFiles = Field(default=(), examples=[["owner.asc", "backup.asc"]])
    after: int = Field(default=14, ge=1, le=3_650, examples=[14])
    undo: int = Field(default=14, ge=1, le=365, examples=[14])
    index: Literal["strip", "keep"] = Field(default="strip", examples=["strip"])

    @property
    def enabled(self) -> bool:
        """Whether mail is to be sealed from now on; what was sealed before stays so."""
        return bool(self.keys)
