"""The items of the table `<stack>-seal`, through which box, function and owner tell each other.

The key of each is `id` (S). Times are ISO 8601 in UTC with whole seconds, as in
2026-11-28T14:44:47Z. Attributes are strings, or numbers where N is given.

    watermark         written by the box only: `settled_before` (all mail that came before this is
                      settled at home), `written_at`, `mail_place` (which mail that is about)
    proof#<set>       written by `seal prove`: `proved_at`, `fingerprints` (separated by blanks).
                      Without it, nothing is sealed with that set of keys
    state             written by the function: `ran_at`, `sealed` (N, in that run), `sealed_total`
                      (N), `backlog` (N, versions that are due and not known to be sealed),
                      `skipped` (N, cannot be sealed), `failed` (N, will be tried again),
                      `without_twin` (N, tagged but not sealed: alarm), `refused` (why nothing was
                      sealed: no-watermark, stale-watermark, other-mail, key, unproved, unversioned;
                      "" if all is well), `reason` (of a failure, in words), `failed_key` and
                      `failing_since` (of the mail that has been failing longest), `skipped_key` and
                      `skipped_reason`, `twinless_key`, `cursor` (where the next run begins),
                      `forgotten` (the last sealed key that the index was told of, "all" at the end)
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
    """Return the name of the table that belongs to a stack."""
    return f"{stack}-seal"


def mail_place(bucket: str, prefix: str) -> str:
    """Return how a watermark names the mail that it is about."""
    return f"{bucket}/{prefix}"


def proof_id(fingerprints: Iterable[str]) -> str:
    """Return the id of the proof for a set of keys, regardless of their order and of case."""
    joined = "\n".join(sorted({fingerprint.upper() for fingerprint in fingerprints}))
    return f"proof#{hashlib.sha256(joined.encode()).hexdigest()}"


def written_time(time: datetime) -> str:
    """Return a time in the form of the items. The texts sort as the times do."""
    return time.astimezone(UTC).strftime(_TIME)


def read_time(text: str) -> datetime | None:
    """Return the time that an item's text stands for, None if it is not one."""
    if not _FORM.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
