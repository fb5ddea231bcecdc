"""What a single pass tells: that its rebuild of the ledger found mail to be absent.

The daemon's watch tells of that too, and of all else. Where no daemon runs, nobody else would.
"""

from __future__ import annotations

import time

from postamt_sync.alerts import conditions
from postamt_sync.alerts.delivery import Post
from postamt_sync.alerts.message import compose
from postamt_sync.config import Settings
from postamt_sync.config.command import typed
from postamt_sync.delivery.destinations import household
from postamt_sync.delivery.publisher import Group
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.incidents import Cause


def tell_absent(settings: Settings, ledger: Ledger, events: Events) -> None:
    """Write and deliver the alert, once. Blocking; only while holding the courier's lock.

    Raises PostamtError if the ledger refuses.
    """
    now, troubles = time.time(), ledger.troubles
    if Cause.ABSENT not in settings.alerts.wanted:
        return
    troubles.happened(conditions.absent(ledger.absences, now))
    to_tell = troubles.to_tell(Cause.ABSENT, now)
    if not to_tell:
        return
    house = household(settings, ledger.work)
    body = compose(to_tell, house.routes.default, now, lambda verb: typed(verb, settings.source))
    troubles.tell(to_tell, body, now)
    Post(troubles, Group(ledger.work, events), events).deliver(house)
