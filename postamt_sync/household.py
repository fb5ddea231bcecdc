"""The household as the configuration describes it: who gets which mail, and where it lies."""

from __future__ import annotations

from postamt_sync.config import Settings
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.pickup import House
from postamt_sync.ledger.work import Work
from postamt_sync.mail.routing import Addressee, Routes


def household(settings: Settings, work: Work, disk: Disk | None = None) -> House:
    """Return routes, Maildirs and folders of one configuration; touches no disk."""
    return House(
        routes=Routes(Addressee(m.name, m.addresses, m.default) for m in settings.mailboxes),
        mailboxes=Mailboxes(
            ((m.name, m.maildir) for m in settings.mailboxes), work, disk or Disk()
        ),
        junk_folder=settings.delivery.junk_folder,
        virus_folder=settings.delivery.virus_folder,
        envelope_grace=settings.effective_envelope_grace,
    )
