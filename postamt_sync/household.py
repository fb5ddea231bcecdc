"""The household as the configuration describes it: who gets which mail, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence

from postamt_sync.config import Mailbox, Settings
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.pickup import House
from postamt_sync.ledger.work import Work
from postamt_sync.mail.routing import Addressee, Routes


def household(
    settings: Settings, work: Work, disk: Disk | None = None, kept: Sequence[Mailbox] = ()
) -> House:
    """Return routes, Maildirs and folders of one configuration; touches no disk.

    `kept` are mailboxes that the configuration no longer names and that still get their mail.
    """
    # Of two mailboxes with one address the first wins: what is configured now.
    addressees = [Addressee(m.name, m.addresses, m.default) for m in settings.mailboxes]
    addressees += [Addressee(m.name, m.addresses, default=False) for m in kept]
    delivery = settings.delivery
    junk, virus, dmarc = map(
        _folder, (delivery.junk_folder, delivery.virus_folder, delivery.dmarc_folder)
    )
    roots = [(m.name, m.maildir) for m in (*settings.mailboxes, *kept)]
    return House(
        routes=Routes(addressees),
        mailboxes=Mailboxes(roots, work, disk or Disk(), {junk, virus, dmarc}),
        junk_folder=junk,
        virus_folder=virus,
        envelope_grace=settings.effective_envelope_grace,
        has_index=bool(settings.index.table),
        dmarc_folder=dmarc,
        tagged=frozenset(m.name for m in (*settings.mailboxes, *kept) if m.tag_folders),
        delivered_to=delivery.delivered_to_header,
    )


def _folder(option: str) -> str:
    """Return a folder as delivery names it, levels separated by `/`; "" is the INBOX."""
    return "" if option.upper() == "INBOX" else option.replace(".", "/")
