"""Reading the `Message` of an SNS notification.

SES's receipts and S3's events come through the same topic and are told apart by members that only
one of them has. A message is understood as a whole or not at all: without it the next poll finds
the mail, whereas half an envelope could keep the mail from someone.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from postamt_sync.mail.arrival import (
    SETUP_NOTIFICATION,
    Arrival,
    Envelope,
    Source,
    Verdicts,
    is_key,
    is_no_mail,
)
from postamt_sync.mail.feedback import NOT_SENT, UNINTERESTING, Feedback, FeedbackKind
from postamt_sync.mail.json_member import (
    NotUnderstoodError,
    as_list,
    as_number,
    as_object,
    as_text,
    member,
    no_number,
    optional,
)

LONGEST_ETAG = 256
"""Characters. S3's ETags have 32 to 38."""

VALIDATED = "Successfully validated SNS topic for Amazon SES"
"""How SES's plain-text test message begins, which it sends to a topic that it shall publish to."""

_STATUS = frozenset({"PASS", "FAIL", "GRAY", "PROCESSING_FAILED"})
_POLICY = frozenset({"none", "quarantine", "reject"})


class NotificationKind(enum.StrEnum):
    """What a notification is about."""

    RECEIPT = "receipt"
    """SES received a mail and stored it. This has the envelope."""
    S3_EVENT = "s3-event"
    """Something happened to objects in the bucket. This has ETag and size."""
    TEST_EVENT = "test-event"
    """S3 or SES tested whether it can publish to the topic."""
    FEEDBACK = "feedback"
    """What became of a mail that one of us sent; `feedback` is None if nothing went wrong."""
    NOT_UNDERSTOOD = "not-understood"
    """Anything else. `reason` says why and holds no untrusted text."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a message means.

    A receipt has one arrival, an event one per object created. There is none if what came is not a
    mail (SES's setup notification, a folder marker, a deletion); then `reason` says so. `origins`
    are the JSON objects that the arrivals were read from, in the same order: a receipt's message,
    an event's records. Nothing in them has been checked but what the arrivals hold.
    """

    kind: NotificationKind
    arrivals: tuple[Arrival, ...] = ()
    reason: str = ""
    origins: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    feedback: Feedback | None = None


def read_notification(message: str, source: Source) -> Notification:
    """Return what `message` means; never raises, whatever the text.

    It does not check whether bucket and prefix are ours. The arrivals' keys and buckets are ones
    that S3 allows, strings are valid Unicode, and sizes fit into the ledger.
    """
    if message.strip().startswith(VALIDATED):
        return Notification(NotificationKind.TEST_EVENT, reason="SES tested the topic for events")
    try:
        return _read(
            as_object(json.loads(message, parse_constant=no_number), "the message"), source
        )
    except NotUnderstoodError as why:
        return Notification(NotificationKind.NOT_UNDERSTOOD, reason=str(why))
    except (ValueError, RecursionError):
        return Notification(
            NotificationKind.NOT_UNDERSTOOD, reason="it is not JSON that we can read"
        )


def _read(body: dict[str, object], source: Source) -> Notification:
    if body.get("notificationType") == "Received":
        return _receipt(body, source)
    if "notificationType" in body or "eventType" in body:
        return _feedback(body)
    if "Records" in body:
        return _s3_event(body, source)
    if body.get("Event") == "s3:TestEvent":
        return Notification(NotificationKind.TEST_EVENT)
    return Notification(NotificationKind.NOT_UNDERSTOOD, reason="neither a receipt nor an S3 event")


def _receipt(body: dict[str, object], source: Source) -> Notification:
    mail = member(body, "mail", as_object)
    if mail.get("messageId") == SETUP_NOTIFICATION:
        return Notification(NotificationKind.RECEIPT, reason="SES tested a receipt rule")
    receipt = member(body, "receipt", as_object)
    action = member(receipt, "action", as_object)
    if action.get("type") != "S3":
        raise NotUnderstoodError("a receipt for an action that does not store in S3")
    key = _key(member(action, "objectKey", as_text))
    if is_no_mail(key, None):
        return Notification(NotificationKind.RECEIPT, reason="SES tested a receipt rule")
    recipients = member(receipt, "recipients", as_list)
    sender = optional(mail, "source", as_text)
    envelope = Envelope(
        recipients=tuple(as_text(recipient, "a recipient") for recipient in recipients),
        sender=None if sender in (None, "", "<>") else sender,
        verdicts=_verdicts(receipt),
    )
    bucket = _bucket(member(action, "bucketName", as_text))
    return Notification(
        NotificationKind.RECEIPT,
        (Arrival(bucket, key, source, envelope=envelope),),
        origins=(body,),
    )


def _feedback(body: dict[str, object]) -> Notification:
    """Read what SES reports about a mail that was sent, as a notification or as an event.

    SES Developer Guide, "Notification contents" and "Contents of event data".
    """
    name = "notificationType" if "notificationType" in body else "eventType"
    said = member(body, name, as_text)
    if said == "AmazonSnsSubscriptionSucceeded":
        return Notification(NotificationKind.TEST_EVENT, reason="SES tested where to send feedback")
    if said in UNINTERESTING:
        return Notification(NotificationKind.FEEDBACK, reason="a mail that was sent is on its way")
    if name == "eventType" and said in NOT_SENT:
        return Notification(NotificationKind.FEEDBACK, feedback=_not_sent(body, said))
    if said not in {"Bounce", "Complaint"}:
        raise NotUnderstoodError("an SES notification of an unknown kind")
    kind = FeedbackKind.BOUNCE if said == "Bounce" else FeedbackKind.COMPLAINT
    what = member(body, "bounce" if kind is FeedbackKind.BOUNCE else "complaint", as_object)
    mail = optional(body, "mail", as_object) or {}
    common = optional(mail, "commonHeaders", as_object) or {}
    listed = "bouncedRecipients" if kind is FeedbackKind.BOUNCE else "complainedRecipients"
    people = [as_object(each, "a recipient") for each in member(what, listed, as_list)]
    words = [optional(what, n, as_text) for n in ("bounceType", "bounceSubType")]
    words += [optional(what, "complaintFeedbackType", as_text)]
    words += [optional(each, "diagnosticCode", as_text) for each in people[:1]]
    feedback = Feedback(
        kind=kind,
        id=optional(what, "feedbackId", as_text) or member(mail, "messageId", as_text),
        at=_moment(optional(what, "timestamp", as_text)),
        recipients=tuple(member(each, "emailAddress", as_text) for each in people),
        reason=" ".join(word for word in words if word),
        subject=optional(common, "subject", as_text) or "",
    )
    return Notification(NotificationKind.FEEDBACK, feedback=feedback)


def _not_sent(body: dict[str, object], said: str) -> Feedback:
    """Read what SES reports about a mail that it accepted and did not send."""
    name, why, meaning = NOT_SENT[said]
    mail = member(body, "mail", as_object)
    told = optional(body, name, as_object) or {}
    common = optional(mail, "commonHeaders", as_object) or {}
    to = optional(mail, "destination", as_list) or []
    words = [meaning, optional(told, why, as_text)]
    return Feedback(
        kind=FeedbackKind.NOT_SENT,
        id=member(mail, "messageId", as_text),
        at=_moment(optional(mail, "timestamp", as_text)),
        recipients=tuple(as_text(each, "a recipient") for each in to),
        reason=": ".join(word for word in words if word),
        subject=optional(common, "subject", as_text) or "",
    )


def _moment(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _verdicts(receipt: dict[str, object]) -> Verdicts:
    policy = optional(receipt, "dmarcPolicy", as_text)
    return Verdicts(
        spam=_verdict(receipt, "spamVerdict"),
        virus=_verdict(receipt, "virusVerdict"),
        spf=_verdict(receipt, "spfVerdict"),
        dkim=_verdict(receipt, "dkimVerdict"),
        dmarc=_verdict(receipt, "dmarcVerdict"),
        dmarc_policy=policy if policy in _POLICY else None,
    )


def _verdict(receipt: dict[str, object], name: str) -> str | None:
    verdict = optional(receipt, name, as_object)
    status = optional(verdict, "status", as_text) if verdict is not None else None
    return status if status in _STATUS else None


def _s3_event(body: dict[str, object], source: Source) -> Notification:
    records = member(body, "Records", as_list)
    if not records:
        raise NotUnderstoodError("an event without records")
    origins = [as_object(record, "a record") for record in records]
    found = [(_record(record, source), record) for record in origins]
    mails = [(arrival, record) for arrival, record in found if arrival is not None]
    return Notification(
        NotificationKind.S3_EVENT,
        tuple(arrival for arrival, _ in mails),
        "" if mails else "an event that created no mail",
        tuple(record for _, record in mails),
    )


def _record(record: dict[str, object], source: Source) -> Arrival | None:
    if member(record, "eventVersion", as_text).partition(".")[0] != "2":
        raise NotUnderstoodError("an event whose version is not 2")
    if not member(record, "eventName", as_text).startswith("ObjectCreated:"):
        return None
    s3 = member(record, "s3", as_object)
    stored = member(s3, "object", as_object)
    key = _key(_decoded(member(stored, "key", as_text)))
    size = optional(stored, "size", as_number)
    if is_no_mail(key, size):
        return None
    bucket = _bucket(member(member(s3, "bucket", as_object), "name", as_text))
    etag = optional(stored, "eTag", as_text)
    return Arrival(bucket, key, source, etag=None if etag is None else _etag(etag), size=size)


def _decoded(key: str) -> str:
    """Undo S3's URL encoding: `+` or `%20` for a space, percent-encoding for the rest."""
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise NotUnderstoodError("a key that is not UTF-8") from None


def _key(key: str) -> str:
    if not is_key(key):
        raise NotUnderstoodError("a key that S3 does not allow")
    return key


def _bucket(name: str) -> str:
    if not (name.isascii() and name.replace("-", "").replace(".", "").replace("_", "").isalnum()):
        raise NotUnderstoodError("a bucket name that S3 does not allow")
    return name


def _etag(quoted: str) -> str | None:
    etag = quoted.strip('"')
    # It becomes part of a header (If-Match) later.
    if len(etag) > LONGEST_ETAG or not (etag.isascii() and etag.isprintable()) or '"' in etag:
        raise NotUnderstoodError("an ETag that S3 does not make")
    return etag or None
