"""A sealed mail, by its key: `sealed/<id>/<LastModified>.<ETag>.<size>.pgp`.

The key says which version of which plain object it stands for, so that whoever lists the bucket
takes the sealed object for the plain one, long after that has gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from postamt_sync.mail.arrival import LONGEST_KEY

SEALED_TAG = ("postamt-seal", "sealed")
"""Key and value of the tag that a plain version bears once it is sealed: it lets it expire."""

SHA256, VERSION, FINGERPRINTS = "sha256", "version", "fingerprints"
"""Names in a sealed object's metadata: of the plain bytes, in hex; the plain version's id ("null"
before the bucket had versions); whom it is encrypted for, separated by blanks."""

_ETAG = r"[0-9A-Za-z-]{1,128}"
_LAST = re.compile(
    rf"(?P<time>\d{{8}}T\d{{6}}Z)\.(?P<etag>{_ETAG})\.(?P<size>0|[1-9]\d{{0,15}})\.pgp", re.ASCII
)
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class SealedName:
    """The plain object that a sealed one stands for.

    `id` is the rest of its key after the prefix of what comes; it may hold slashes. `last_modified`
    is UTC in whole seconds, as S3 lists it; `etag` has no quotes; `size` is in bytes. Time and ETag
    are brought into that form; raises ValueError for a time without a zone.
    """

    id: str
    last_modified: datetime
    etag: str
    size: int

    def __post_init__(self) -> None:
        if self.last_modified.tzinfo is None:
            raise ValueError("A time without a zone could be any.")
        seconds = self.last_modified.astimezone(UTC).replace(microsecond=0)
        object.__setattr__(self, "last_modified", seconds)
        object.__setattr__(self, "etag", self.etag.strip('"'))

    def key(self, sealed_prefix: str) -> str | None:
        """Return where it lies; None where there can be no such key, and so no sealed object."""
        time = self.last_modified.strftime(_TIME).zfill(len("20261128T144447Z"))
        last = f"{time}.{self.etag}.{self.size}.pgp"
        key = f"{sealed_prefix}{self.id}/{last}"
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            return None
        right = self.id and sealed_prefix and _LAST.fullmatch(last) and length <= LONGEST_KEY
        return key if right else None


def parse(key: str, sealed_prefix: str) -> SealedName | None:
    """Read a key that is exactly as `SealedName.key` writes it; None for whatever else lies there,
    and for all where there is no prefix."""
    if not sealed_prefix or not key.startswith(sealed_prefix):
        return None
    mail, _, last = key.removeprefix(sealed_prefix).rpartition("/")
    match = _LAST.fullmatch(last)
    if match is None:
        return None
    try:
        time = datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    name = SealedName(mail, time, match["etag"], int(match["size"]))
    return name if name.key(sealed_prefix) == key else None
