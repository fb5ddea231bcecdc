"""Delivering alerts in the same way as mail, by the same four steps and with the same ledger.

An alert is not an object of the bucket, and no alert is written about an alert. The time in its
file name is zero: when a ledger was lost, the newest name says how far the bucket's mail has come,
and an alert must not count for that.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.filename import make_stem
from postamt_sync.delivery.pending_mail import FetchedMail, MailboxTarget, RoutedMail
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import DeliveryState, Task
from postamt_sync.ledger.incidents import OWN, Alert, Incidents
from postamt_sync.mail.arrival import Evidence


class AlertDelivery:
    """Delivers alerts to the default mailbox. Blocking: to be called from one thread at a time."""

    def __init__(
        self,
        incidents: Incidents,
        publisher: Publisher,
        events: Events,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`publisher` must not be used by anybody else."""
        self._incidents = incidents
        self._publisher = publisher
        self._events = events
        self._wall = wall
        self._waiting: set[str] = set()
        """Alerts for which it was logged that they wait."""

    def deliver(self, destinations: Destinations) -> int:
        """Deliver waiting alerts; return how many still wait, as the mailbox cannot take them now.

        Raises PostamtError if the ledger refuses.
        """
        left = 0
        for alert in self._incidents.undelivered():
            error = self._deliver(alert, destinations)
            if error is None:
                self._incidents.delivered(alert, self._wall())
                self._events.alerted(alert.mail, alert.cause)
            else:
                left += 1
                if alert.mail not in self._waiting:
                    self._waiting.add(alert.mail)
                    self._events.alert_waits(alert.mail, alert.cause, str(error))
        return left

    def _deliver(self, alert: Alert, destinations: Destinations) -> PostamtError | None:
        task = self._incidents.task(alert)
        if any(copy.state is DeliveryState.PREPARED for copy in task.deliveries):
            unpublished = self._publisher.resume(task, destinations.mailboxes)
            if unpublished:
                return next(iter(unpublished.values()))
            task = self._incidents.task(alert)
        if any(copy.state is DeliveryState.DELIVERED for copy in task.deliveries):
            return None
        [published] = self._publisher.publish([_mail(alert, task, destinations)])
        return next(iter(published.failed.values()), None)


def _mail(alert: Alert, task: Task, destinations: Destinations) -> FetchedMail:
    digest = hashlib.sha256(alert.body).hexdigest()
    mail = RoutedMail(
        task=task,
        stem=make_stem(OWN, alert.key, digest, stored_at=0.0),
        etag=digest,
        size=len(alert.body),
        last_modified=0.0,
        received_at=alert.at,
        evidence=Evidence.DEFAULT,
        mailboxes=destinations.mailboxes,
        addressees=(MailboxTarget(destinations.routes.default),),
    )
    return FetchedMail(mail, alert.body, digest)
