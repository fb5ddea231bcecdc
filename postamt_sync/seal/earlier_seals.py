"""Having the index forget mail that was sealed while it was to keep its words, some in each run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from postamt_sync.mail.sealed_name import parse
from postamt_sync.seal.one_seal import Forget

ALL = "all"
"""How far the index was told, once that is everything."""

MOST_IN_A_RUN = 5_000
"""How many mails the index is told of in one run, which takes some minutes."""


class SealedObjects(Protocol):
    """The part of `SealerBucket` that is used here."""

    def sealed(self, prefix: str, after: str, /) -> Iterator[str]: ...
    def has(self, key: str, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class EarlierSeals:
    """The sealed objects of one place, in the order of their keys."""

    bucket: SealedObjects
    prefix: str
    sealed_prefix: str
    forget: Forget

    def told(self, upto: str) -> Iterator[str]:
        """Tell the index of the sealed objects after the key `upto`.

        Yields the key that it has come to, and ALL at the end. Raises what boto3 raises. If a
        mail's newest content is plain, it is left out: the index is told when that is sealed.
        """
        last, count = "", 0
        for key in self.bucket.sealed(self.sealed_prefix, upto):
            name = parse(key, self.sealed_prefix)
            if name is None:
                continue
            if name.id != last:
                if count == MOST_IN_A_RUN:
                    return
                plain = f"{self.prefix}{name.id}"
                if not self.bucket.has(plain):
                    self.forget(plain)
                last = name.id
                count += 1
            yield key
        yield ALL
