"""The keys of sealed mail: `sealed/<id>/<LastModified>.<ETag>.<size>.pgp`.

A key names the version of the plain object that it stands for, so that a listing of the bucket can
take the sealed object for the plain one long after that is gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from postamt_sync.mail.arrival import LONGEST_KEY

SEALED_TAG = ("postamt-seal", "sealed")
"""Key and value of the tag that a plain version gets once it is sealed, and by which it expires."""

SHA256, VERSION, FINGERPRINTS = "sha256", "version", "fingerprints"
"""Names in a sealed object's metadata: SHA-256 of the plain bytes in hex, the plain version's id
("null" if it is older than the bucket's versioning), and the fingerprints of the keys that it is
encrypted for, separated by blanks."""

_ETAG = r"[0-9A-Za-z-]{1,128}"
_LAST = re.compile(
    rf"(?P<time>\d{{8}}T\d{{6}}Z)\.(?P<etag>{_ETAG})\.(?P<size>0|[1-9]\d{{0,15}})\.pgp", re.ASCII
)
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class SealedName:
    """The plain object that a sealed one stands for.

    `id` is what follows the prefix in its key, and may contain slashes. `last_modified` is in UTC
    and whole seconds, as in S3's listings, `etag` has no quotes; both are brought into that form.
    `size` is in bytes. Raises ValueError for a time without a time zone.
    """

    id: str
    last_modified: datetime
    etag: str
    size: int

    def __post_init__(self) -> None:
        if self.last_modified.tzinfo is None:
            raise ValueError("A time without a time zone is ambiguous.")
        seconds = self.last_modified.astimezone(UTC).replace(microsecond=0)
        object.__setattr__(self, "last_modified", seconds)
        object.__setattr__(self, "etag", self.etag.strip('"'))

    def key(self, sealed_prefix: str) -> str | None:
        """Return the sealed object's key, None if there cannot be one (too long, not UTF-8)."""
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
    """Parse a key that is exactly as `SealedName.key` writes it.

    None for any other object below the prefix, and always if there is no prefix.
    """
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
