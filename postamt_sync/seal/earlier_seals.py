"""Mail that was sealed while the index was to keep its words: it is told of it, a part each run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from postamt_sync.mail.sealed_name import parse
from postamt_sync.seal.one_seal import Forget

ALL = "all"
"""Where the index was told of every sealed object that there is."""

MOST_IN_A_RUN = 5_000
"""Mails of which the index is told in one run; some minutes' worth."""


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
        """Tell the index of what lies behind the key `upto`; yields how far it has come after each
        mail, ALL at the end. Raises as boto3 does.

        A mail whose newest content is plain still has its turn when that is sealed.
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
