"""The secrets that mailboxes sign in with, generated or chosen, and their hashes.

Only a salted hash is kept (scrypt, RFC 7914). A secret may be any Unicode text. It is normalized to
its composed form, so that it does not matter on which keyboard or system it is typed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Self

from postamt_sync.errors import UsageError

SHORTEST_CHOSEN = 20
"""Characters of the shortest secret that may be chosen."""
LONGEST = 1_000
"""Characters. Longer ones are never right."""
FEWEST_DIFFERENT = 8
"""How many different characters a chosen secret has to have."""

_MADE_BYTES = 20
"""160 bits: exactly 32 letters and digits."""
_SALT_BYTES = 16
COST = 1 << 14
"""16 MB and about 50 ms: secrets are strong already, with 160 bits or 20 characters."""
_BLOCK, _PARALLEL = 8, 1
_MOST_COST = 1 << 18
_MEMORY = 512 << 20


def make_secret() -> str:
    """Return a new secret of 160 bits, in groups of four that are easy to read out and type."""
    letters = base64.b32encode(secrets.token_bytes(_MADE_BYTES)).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def chosen(secret: str) -> str:
    """Return a secret that a person chose, normalized; raises UsageError if it is too weak."""
    text = _composed(secret)
    if len(text) < SHORTEST_CHOSEN or len(set(text)) < FEWEST_DIFFERENT:
        raise UsageError(
            f"The secret needs at least {SHORTEST_CHOSEN} characters, "
            f"{FEWEST_DIFFERENT} of them different.",
            "Take a sentence of your own, or let one be made: leave out --choose.",
        )
    if len(text) > LONGEST:
        raise UsageError(f"The secret has more than {LONGEST:,} characters.", "Take a shorter one.")
    return text


@dataclass(frozen=True, slots=True)
class SecretHash:
    """The hash of a secret. Its text form has the parameters, so that they can be raised later."""

    salt: bytes
    digest: bytes
    cost: int = COST

    @classmethod
    def of(cls, secret: str, cost: int = COST) -> Self:
        """Return the hash of a secret, with a new salt."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(salt, _scrypt(secret, salt, cost), cost)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` returned; raises ValueError for anything else."""
        name, cost, salt, digest = text.split("$")
        if name != "scrypt" or not 1 < int(cost) <= _MOST_COST:
            raise ValueError("not a hash that we make")
        return cls(base64.b64decode(salt, validate=True), base64.b64decode(digest), int(cost))

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.cost}${salt}${digest}"

    def fits(self, secret: str) -> bool:
        """Tell whether this is the secret; takes the same time for wrong ones and the right one."""
        right = hmac.compare_digest(_scrypt(secret, self.salt, self.cost), self.digest)
        return right and len(secret) <= LONGEST


def _scrypt(secret: str, salt: bytes, cost: int) -> bytes:
    text = _composed(secret[: LONGEST + 1]).encode("utf-8", "surrogatepass")
    # scrypt uses HMAC, for which a key with zero bytes appended is the same key.
    text = hashlib.sha256(text).digest()
    return hashlib.scrypt(text, salt=salt, n=cost, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=32)


def _composed(secret: str) -> str:
    return unicodedata.normalize("NFC", secret.strip())
