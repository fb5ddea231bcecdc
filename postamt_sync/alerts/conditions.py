"""What can be wrong with the box and its way to AWS.

Each check returns what is wrong, with one line of detail each; nothing if all is well. Blocking: to
be called from a thread.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable
from postamt_sync.ledger.absences import Absences
from postamt_sync.ledger.incidents import Cause, Incident
from postamt_sync.ledger.overview import SourceHealth
from postamt_sync.mail.arrival import Source
from postamt_sync.quantities import size_in_words
from postamt_sync.regular_file import read_small
from postamt_sync.threads import ask_disk

SILENCE_SECONDS = 3600.0
"""Without a successful poll for so long, something is wrong."""
LOOKS_MISSED = 3
"""How many polls have to fail for that if they are configured to be rare."""
SEALING_SECONDS = 6 * 3600.0
SEALING_SOURCE = "seal"
"""The name under which it is noted how sealing is doing."""
EXPIRY = dt.timedelta(days=14)
"""How long before it expires a certificate is reported."""
LOW_SHARE = 0.05
LOW_BYTES = 2 << 30
"""Less than both is little room: a twentieth of a large disk lasts for years."""
LEAST_BYTES = 200 << 20
"""Less than this is little room on any disk."""
LOW_FILES = 0.02
"""The share of inodes of which there should be more."""

Found = dict[str, str]


def refused(sources: Iterable[SourceHealth]) -> Found:
    """Return the sources at which AWS refuses our credentials."""
    return {
        source.source: f"{source.source}: {printable(source.problem)}"
        for source in sources
        if source.refused and source.problem
    }


def silent(
    sources: Iterable[SourceHealth], *, now: float, running: float, interval: float
) -> Found:
    """Report if no poll has succeeded for an hour or, if that is longer, for three intervals.

    `now` is in seconds since 1970, `running` in seconds since we started.
    """
    longest = max(SILENCE_SECONDS, LOOKS_MISSED * interval)
    poll = next((source for source in sources if source.source == Source.POLL), None)
    last = poll.ok_at if poll else None
    if running < longest or (last is not None and now - last < longest):
        return {}
    problem = printable(poll.problem) if poll and poll.problem else "none of them has ended"
    when = dt.datetime.fromtimestamp(last or 0, dt.UTC).astimezone()
    since = "ever" if last is None else f"since {when:%Y-%m-%d %H:%M}"
    return {"poll": f"no poll has succeeded {since}; the last problem: {problem}"}


def unsealed(sources: Iterable[SourceHealth], *, now: float, running: float) -> Found:
    """Report if sealing has had a problem for six hours: a network that is down for a while is no
    reason for an alert.

    `now` is in seconds since 1970, `running` in seconds since we started.
    """
    seal = next((source for source in sources if source.source == SEALING_SOURCE), None)
    if seal is None or not seal.problem:
        return {}
    lasts = running if seal.ok_at is None else now - seal.ok_at
    return {SEALING_SOURCE: printable(seal.problem)} if lasts >= SEALING_SECONDS else {}


@dataclass(frozen=True, slots=True)
class Expiry:
    """A certificate that expires soon, or has expired (`over`), in one line without a full stop."""

    detail: str
    over: bool


def expiring(certificate: Path | None, *, now: float, chain: bytes | None = None) -> Found:
    """Report if the certificate should be renewed, see `expiry`."""
    found = expiry(certificate, now=now, chain=chain) if certificate else None
    return {str(certificate): found.detail} if found else {}


def expiry(certificate: Path, *, now: float, chain: bytes | None = None) -> Expiry | None:
    """Return whether the first certificate in a PEM file has expired, or will within 14 days.

    If it is valid for less than eight weeks, the last quarter of that counts instead. `chain` is
    the content of the file if that is not to be read now. A file that cannot be read is not
    reported here, but where it is loaded.
    """
    # A tenth of the daemon's start, for those who have a certificate.
    from cryptography import x509  # noqa: PLC0415

    try:
        if chain is None:
            chain = read_small(certificate, links=True)
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except (OSError, ValueError, IndexError):
        return None
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    left = ends - dt.datetime.fromtimestamp(now, dt.UTC)
    if left > min(EXPIRY, (ends - begins) / 4):
        return None
    over = left <= dt.timedelta()
    what = "expired" if over else "expires"
    return Expiry(f"{printable(str(certificate))} {what} on {ends:%Y-%m-%d %H:%M} UTC", over)


def full(
    places: Mapping[str, Path], look: Callable[[Path], os.statvfs_result] = os.statvfs
) -> Found:
    """Report file systems that are nearly full, each once, under the first of its places."""
    found: Found = {}
    seen: set[int] = set()
    for name, path in places.items():
        asked = ask_disk(partial(_looked, path, look), None)
        if asked is None:
            continue  # missing, or it hangs: that is reported for the mailbox itself
        device, disk = asked
        if device in seen:
            continue
        seen.add(device)
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        if free < LEAST_BYTES or (free < LOW_BYTES and free < LOW_SHARE * size):
            found[name] = (
                f"{printable(str(path))}: {size_in_words(free)} of {size_in_words(size)} are free"
            )
        elif disk.f_files and disk.f_favail < LOW_FILES * disk.f_files:
            found[name] = f"{printable(str(path))}: hardly any more files can be created (df -i)"
    return found


def _looked(
    path: Path, look: Callable[[Path], os.statvfs_result]
) -> tuple[int, os.statvfs_result] | None:
    try:
        return path.stat().st_dev, look(path)
    except OSError:
        return None


def vanished(mailboxes: Mailboxes, names: Sequence[str]) -> Found:
    """Report mailboxes whose Maildir has been there and is gone."""
    found: Found = {}
    for name in names:
        try:
            mailboxes.ready(name)
        except MailboxVanishedError as error:
            found[name] = f"{name}: {printable(error.problem)}"
        except (PostamtError, KeyError):
            continue  # trouble of another kind, or not configured any more
    return found


def absent(absences: Absences, now: float) -> list[Incident]:
    """Return what a rebuild found absent and nobody has looked at, once that is final."""
    if absences.may_grow():
        return []
    return [
        Incident(
            Cause.ABSENT,
            f"{each.mailbox} {each.mails} {each.first} {each.last}",
            now,
            f"{printable(each.mailbox) or 'not known whose'}: {each.in_words()}",
        )
        for each in absences.unseen()
    ]
