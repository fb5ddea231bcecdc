"""The items of the table `<stack>-seal`, by which box, function and person know of each other.

Each is one item with the key `id` (S). Times are ISO 8601 in UTC, whole seconds, as
2026-11-28T14:44:47Z; all attributes are strings, numbers (N) where it is said.

    watermark         written by the box alone: `settled_before`, before which all mail that ever
                      came is settled at home; `written_at`; `mail_place`, of which mail
    proof#<set>       written by `seal prove`: `proved_at`, `fingerprints` (separated by blanks). A
                      set of keys without it seals nothing
    state             written by the function: `ran_at`, `sealed` (N, in that run), `sealed_total`
                      (N), `backlog` (N, versions that were due and are not known to be sealed),
                      `skipped` (N, what cannot be sealed), `failed` (N, what will be tried again),
                      `without_twin` (N, tagged and not sealed: alarm), `refused` (why nothing was
                      sealed: no-watermark, stale-watermark, other-mail, key, unproved, unversioned;
                      "" if all is well), `reason` (of a failure, in words), `failed_key` and
                      `failing_since` (of the mail that fails for the longest), `skipped_key` and
                      `skipped_reason`, `twinless_key`, `cursor` (where the next run begins),
                      `forgotten` (up to which sealed key the index was told, "all" at the end)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime

KEY = "id"
WATERMARK = "watermark"
SETTLED_BEFORE, WRITTEN_AT = "settled_before", "written_at"
MAIL_PLACE = "mail_place"
STATE = "state"
PROVED_AT = "proved_at"

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def seal_table_name(stack: str) -> str:
    """Return the table's name by the stack's."""
    return f"{stack}-seal"


def mail_place(bucket: str, prefix: str) -> str:
    """Return how a watermark names the mail that it speaks of."""
    return f"{bucket}/{prefix}"


def proof_id(fingerprints: Iterable[str]) -> str:
    """Return the id of the proof for a set of keys, whatever their order and the letters' case."""
    joined = "\n".join(sorted({fingerprint.upper() for fingerprint in fingerprints}))
    return f"proof#{hashlib.sha256(joined.encode()).hexdigest()}"


def written_time(time: datetime) -> str:
    """Return a time as the items have it; texts compare as the times do."""
    return time.astimezone(UTC).strftime(_TIME)


def read_time(text: str) -> datetime | None:
    """Read a time of an item; None if it is none."""
    if not _FORM.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
