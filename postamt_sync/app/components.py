"""The parts that a single pass needs, each made of one configuration.

The daemon's are put together of these and others in `daemon_components.py`, those of a rebuild and
a restore in `recovery_components.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from postamt_sync.bucket import Bucket, SealedPlace
from postamt_sync.config import LiveSettings, Settings
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.destinations import LiveDestinations
from postamt_sync.delivery.fetcher import Heard, nobody_listens
from postamt_sync.delivery.pending_mail import StepObserver, no_observer
from postamt_sync.events import Events
from postamt_sync.index.client import Index
from postamt_sync.index.lookups import IndexLookups
from postamt_sync.intake.scanner import Scanner, as_found
from postamt_sync.ledger import Ledger
from postamt_sync.status.header_memory import HeaderMemory


def make_courier(
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    events: Events,
    observer: StepObserver = no_observer,
    heard: Heard = nobody_listens,
) -> Courier:
    """Return who delivers what is due, to the configured mailboxes."""
    destinations = LiveDestinations(LiveSettings(settings), ledger.work)
    courier = Courier(ledger, bucket, destinations.current, events, observer=observer, heard=heard)
    courier.look_for_sealed(partial(is_sealed, settings, bucket))
    return courier


async def is_sealed(settings: Settings, bucket: Bucket, key: str) -> bool:
    """Tell whether a sealed object stands for a key; raises what listing the bucket raises."""
    return bool(await SealedPlace(*settings.sealed_place).sealed_of(bucket, key))


def make_header_memory(settings: Settings, ledger: Ledger) -> HeaderMemory:
    """Return who remembers what people know the mail of a single pass by."""
    live = LiveSettings(settings)
    return HeaderMemory(live, ledger.headers, LiveDestinations(live, ledger.work).current)


def make_lookups(
    live: LiveSettings,
    ledger: Ledger,
    index: Index | None,
    events: Events,
    wake: Callable[[], None] = lambda: None,
) -> IndexLookups | None:
    """Return who asks the index for envelopes, None where there is no index."""
    if index is None:
        return None
    return IndexLookups(index, ledger, events, grace=live.envelope_grace, wake=wake)


def make_scanner(
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    events: Events,
    lookups: IndexLookups | None = None,
) -> Scanner:
    """Return who compares listings with the ledger, and asks the index where there is one."""
    prefixes = settings.bucket.prefix, settings.bucket.recent_prefix
    complete = lookups.complete if lookups else as_found
    sealed = SealedPlace(*settings.sealed_place)
    return Scanner(bucket, ledger, events, *prefixes, complete, sealed)
