"""What a single pass tells: that its rebuild of the ledger found mail to be absent.

The daemon's watch tells of that too, and of all else. Where no daemon runs, nobody else would.
"""

from __future__ import annotations

import time

from postamt_sync.alerts import conditions
from postamt_sync.alerts.delivery import AlertDelivery
from postamt_sync.alerts.message import compose
from postamt_sync.config import Settings
from postamt_sync.config.command import typed
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.incidents import Cause


def tell_absent(settings: Settings, ledger: Ledger, events: Events) -> None:
    """Write and deliver the alert, once. Blocking; only while holding the courier's lock.

    Raises PostamtError if the ledger refuses.
    """
    now, incidents = time.time(), ledger.incidents
    if Cause.ABSENT not in settings.alerts.wanted:
        return
    incidents.happened(conditions.absent(ledger.absences, now))
    to_tell = incidents.to_tell(Cause.ABSENT, now)
    if not to_tell:
        return
    destinations = configured_destinations(settings, ledger.work)
    body = compose(
        to_tell, destinations.routes.default, now, lambda verb: typed(verb, settings.source)
    )
    incidents.tell(to_tell, body, now)
    AlertDelivery(incidents, Publisher(ledger.work, events), events).deliver(destinations)
