"""Who is given a copy of a mail that is being read, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from postamt_sync.bucket import Fetched
from postamt_sync.config.folder import SENT
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.filename import first_stem, stem_of
from postamt_sync.delivery.pending_mail import MailboxTarget, RoutedMail
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import DeliveryState, Task
from postamt_sync.mail.arrival import Evidence
from postamt_sync.mail.delivered_to import delivered_to
from postamt_sync.mail.headers import addresses, author, ses_headers
from postamt_sync.mail.routing import Decision, decide, folder_of_tag, merge_verdicts
from postamt_sync.mail.sent_mail import FLAGS


def route(
    task: Task,
    destinations: Destinations,
    fetched: Fetched,
    head: bytes,
    unpublished: Mapping[str, PostamtError],
    clock: Callable[[], float],
) -> RoutedMail | None:
    """Say who is to be given a copy; None: nobody knows yet.

    Raises UndeliverableError for what lies where sent mail does and is of no mailbox of ours.
    """
    if (sender := destinations.sender(task.key)) is not None:
        return _sent(task, destinations, fetched, sender, unpublished)
    ses = ses_headers(head, task.key)
    verdicts = merge_verdicts(task.verdicts, ses.verdicts if ses else None)
    # With an index the grace is over when it has been asked, or could not be for too long.
    grace_left = destinations.grace_left(fetched.last_modified)
    grace_over = task.grace_started or (grace_left == 0 and not destinations.has_index)
    envelope = bool(task.recipients or (ses and ses.recipient))
    decision = decide(
        destinations.routes,
        receipt=task.recipients,
        received=ses.recipient if ses else None,
        header_addresses=addresses(head) if grace_over and not envelope else (),
        grace_over=grace_over,
    )
    if decision is None:
        return None
    stem = stem_of(task.mail, fetched.etag, fetched.last_modified, task.edition)
    named = concerned(task, destinations, decision.mailboxes)
    lacking = [m for m in named if not has_copy(task, m, stem=stem)]
    absent = [m for m in lacking if task.is_absent_for(m, fetched.last_modified)]
    due = [m for m in lacking if m not in absent]
    ask_index = destinations.has_index and not task.grace_started
    return RoutedMail(
        task=task,
        stem=stem,
        etag=fetched.etag,
        size=fetched.size,
        last_modified=fetched.last_modified,
        received_at=(ses.received_at if ses else None) or fetched.last_modified,
        evidence=decision.evidence,
        mailboxes=destinations.mailboxes,
        addressees=tuple(
            _addressee(destinations, decision, m) for m in due if m not in unpublished
        ),
        folder=destinations.folder(verdicts),
        absent=tuple(absent),
        unpublished=dict(unpublished),
        owed={
            m: unpublished[m] for m in due if m in unpublished and not _is_prepared(task, m, stem)
        },
        sender=author(head) if destinations.log_addresses else "",
        ask_at=clock() + grace_left if ask_index else None,
    )


def _sent(
    task: Task,
    destinations: Destinations,
    fetched: Fetched,
    mailbox: str,
    unpublished: Mapping[str, PostamtError],
) -> RoutedMail:
    """Route what a mailbox sent in the webmail: into its own Sent, as seen, and to nobody else.

    It is never absent: how new the mail was that came to a mailbox says nothing of what it sent.
    """
    stem = stem_of(task.mail, fetched.etag, fetched.last_modified, task.edition)
    lacks = not has_copy(task, mailbox, stem=stem)
    target = MailboxTarget(mailbox, by_us=True)
    is_owed = lacks and mailbox in unpublished and not _is_prepared(task, mailbox, stem)
    return RoutedMail(
        task=task,
        stem=stem,
        etag=fetched.etag,
        size=fetched.size,
        last_modified=fetched.last_modified,
        received_at=fetched.last_modified,
        evidence=Evidence.SENT,
        mailboxes=destinations.mailboxes,
        addressees=(target,) if lacks and mailbox not in unpublished else (),
        folder=SENT,
        flags=FLAGS,
        unpublished=dict(unpublished),
        owed={mailbox: unpublished[mailbox]} if is_owed else {},
    )


def concerned(task: Task, destinations: Destinations, named: Sequence[str]) -> list[str]:
    """Return the mailboxes that the envelope names, as far as it is known or was before a loss."""
    known = destinations.mailboxes
    return [*named, *(m for m in task.owed if m in known and m not in named)]


def has_copy(
    task: Task, mailbox: str, *, stem: str | None = None, sha256: str | None = None
) -> bool:
    """Tell whether a mailbox was given this file, or this content, in the current edition."""
    for copy in task.deliveries:
        if copy.mailbox != mailbox or copy.state is not DeliveryState.DELIVERED:
            continue
        if copy.edition != task.edition:
            continue
        same_object = stem is not None and first_stem(copy.stem) == first_stem(stem)
        if same_object or (sha256 is not None and copy.sha256 == sha256):
            return True
    return False


def _addressee(destinations: Destinations, decision: Decision, mailbox: str) -> MailboxTarget:
    routes, recipients = destinations.routes, decision.recipients
    folder, extra_headers = "", b""
    if mailbox in destinations.tagged:
        folder = folder_of_tag(routes.tag(recipients, mailbox))
    if destinations.delivered_to:
        extra_headers = delivered_to(routes.addressed(recipients, mailbox))
    return MailboxTarget(mailbox, folder, extra_headers)


def _is_prepared(task: Task, mailbox: str, stem: str) -> bool:
    return any(
        copy.mailbox == mailbox and copy.stem == stem and copy.state is DeliveryState.PREPARED
        for copy in task.deliveries
    )
