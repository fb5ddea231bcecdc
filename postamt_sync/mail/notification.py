"""A notice: what the `Message` of a SNS notification says has happened.

SES's receipt and S3's event come over the same topic and are told apart by a member that only one
of them has. A notice is understood whole or not at all: what is not understood costs a poll, which
finds the mail anyway, while half an envelope might keep it from somebody.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, TypeVar
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

LARGEST_SIZE = 2**63 - 1
"""Bytes of an object: what a ledger can hold; S3 stops far below."""

LONGEST_ETAG = 256
"""Characters of an ETag; S3's have 32 to 38."""

VALIDATED = "Successfully validated SNS topic for Amazon SES"
"""How SES begins what it sends, in plain text, to a topic that it is to publish events to."""

_STATUS = frozenset({"PASS", "FAIL", "GRAY", "PROCESSING_FAILED"})
_POLICY = frozenset({"none", "quarantine", "reject"})

_T = TypeVar("_T", str, int, dict[str, object], list[object])


class NotificationKind(enum.StrEnum):
    """What a notice is."""

    RECEIPT = "receipt"
    """SES received a mail and stored it; knows the envelope."""
    S3_EVENT = "s3-event"
    """Something happened to objects in the bucket; knows ETag and size."""
    TEST_EVENT = "test-event"
    """S3 or SES tried out its way to the topic."""
    FEEDBACK = "feedback"
    """What became of a mail that somebody here has sent; `feedback` is None where all went well."""
    NOT_UNDERSTOOD = "not-understood"
    """Anything else; `reason` says why, in words of ours only."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a message means.

    A receipt has one arrival, an event one for each object created. Either has none where nothing
    came that is a mail (SES's setup notification, a folder marker, an object deleted): `reason`
    then says so. `origins` are the JSON objects that the arrivals were read from, for who wants
    more of them: a receipt's whole message, an event's records. Only what an arrival holds of them
    has been looked at.
    """

    kind: NotificationKind
    arrivals: tuple[Arrival, ...] = ()
    reason: str = ""
    origins: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    feedback: Feedback | None = None


class _NotUnderstoodError(Exception):
    """This message is not what it should be; the sentence holds no foreign text."""


def read_notification(message: str, source: Source) -> Notification:
    """Return what `message` means; never raises, whatever the text.

    Whether bucket and prefix are ours is not asked here. Keys and buckets of the arrivals are such
    that S3 could have written them, strings are valid Unicode, sizes fit a ledger.
    """
    if message.strip().startswith(VALIDATED):
        return Notification(NotificationKind.TEST_EVENT, reason="SES tried out a topic for events")
    try:
        return _read(_object(json.loads(message, parse_constant=_no_number), "the message"), source)
    except _NotUnderstoodError as why:
        return Notification(NotificationKind.NOT_UNDERSTOOD, reason=str(why))
    except (ValueError, RecursionError):
        return Notification(
            NotificationKind.NOT_UNDERSTOOD, reason="not JSON, or not such as we read"
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
    mail = _member(body, "mail", _object)
    if mail.get("messageId") == SETUP_NOTIFICATION:
        return Notification(NotificationKind.RECEIPT, reason="SES tried out a receipt rule")
    receipt = _member(body, "receipt", _object)
    action = _member(receipt, "action", _object)
    if action.get("type") != "S3":
        raise _NotUnderstoodError("a receipt of an action that stores nothing in S3")
    key = _key(_member(action, "objectKey", _text))
    if is_no_mail(key, None):
        return Notification(NotificationKind.RECEIPT, reason="SES tried out a receipt rule")
    recipients = _member(receipt, "recipients", _list)
    sender = _optional(mail, "source", _text)
    envelope = Envelope(
        recipients=tuple(_text(recipient, "a recipient") for recipient in recipients),
        sender=None if sender in (None, "", "<>") else sender,
        verdicts=_verdicts(receipt),
    )
    bucket = _bucket(_member(action, "bucketName", _text))
    return Notification(
        NotificationKind.RECEIPT,
        (Arrival(bucket, key, source, envelope=envelope),),
        origins=(body,),
    )


def _feedback(body: dict[str, object]) -> Notification:
    """Read what SES says of a mail that was sent: as a notification, or published as an event.

    SES Developer Guide, "Notification contents" and "Contents of event data".
    """
    name = "notificationType" if "notificationType" in body else "eventType"
    said = _member(body, name, _text)
    if said == "AmazonSnsSubscriptionSucceeded":
        return Notification(
            NotificationKind.TEST_EVENT, reason="SES tried out where to send feedback"
        )
    if said in UNINTERESTING:
        return Notification(NotificationKind.FEEDBACK, reason="a mail that was sent is on its way")
    if name == "eventType" and said in NOT_SENT:
        return Notification(NotificationKind.FEEDBACK, feedback=_not_sent(body, said))
    if said not in {"Bounce", "Complaint"}:
        raise _NotUnderstoodError("a SES notification of a kind that we do not know")
    kind = FeedbackKind.BOUNCE if said == "Bounce" else FeedbackKind.COMPLAINT
    what = _member(body, "bounce" if kind is FeedbackKind.BOUNCE else "complaint", _object)
    mail = _optional(body, "mail", _object) or {}
    common = _optional(mail, "commonHeaders", _object) or {}
    listed = "bouncedRecipients" if kind is FeedbackKind.BOUNCE else "complainedRecipients"
    people = [_object(each, "a recipient") for each in _member(what, listed, _list)]
    words = [_optional(what, n, _text) for n in ("bounceType", "bounceSubType")]
    words += [_optional(what, "complaintFeedbackType", _text)]
    words += [_optional(each, "diagnosticCode", _text) for each in people[:1]]
    feedback = Feedback(
        kind=kind,
        id=_optional(what, "feedbackId", _text) or _member(mail, "messageId", _text),
        at=_moment(_optional(what, "timestamp", _text)),
        recipients=tuple(_member(each, "emailAddress", _text) for each in people),
        reason=" ".join(word for word in words if word),
        subject=_optional(common, "subject", _text) or "",
    )
    return Notification(NotificationKind.FEEDBACK, feedback=feedback)


def _not_sent(body: dict[str, object], said: str) -> Feedback:
    """Read what SES says of a mail that it took and did not send."""
    member, why, meaning = NOT_SENT[said]
    mail = _member(body, "mail", _object)
    told = _optional(body, member, _object) or {}
    common = _optional(mail, "commonHeaders", _object) or {}
    to = _optional(mail, "destination", _list) or []
    words = [meaning, _optional(told, why, _text)]
    return Feedback(
        kind=FeedbackKind.NOT_SENT,
        id=_member(mail, "messageId", _text),
        at=_moment(_optional(mail, "timestamp", _text)),
        recipients=tuple(_text(each, "a recipient") for each in to),
        reason=": ".join(word for word in words if word),
        subject=_optional(common, "subject", _text) or "",
    )


def _moment(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _verdicts(receipt: dict[str, object]) -> Verdicts:
    policy = _optional(receipt, "dmarcPolicy", _text)
    return Verdicts(
        spam=_verdict(receipt, "spamVerdict"),
        virus=_verdict(receipt, "virusVerdict"),
        spf=_verdict(receipt, "spfVerdict"),
        dkim=_verdict(receipt, "dkimVerdict"),
        dmarc=_verdict(receipt, "dmarcVerdict"),
        dmarc_policy=policy if policy in _POLICY else None,
    )


def _verdict(receipt: dict[str, object], name: str) -> str | None:
    verdict = _optional(receipt, name, _object)
    status = _optional(verdict, "status", _text) if verdict is not None else None
    return status if status in _STATUS else None


def _s3_event(body: dict[str, object], source: Source) -> Notification:
    records = _member(body, "Records", _list)
    if not records:
        raise _NotUnderstoodError("an event without records")
    origins = [_object(record, "a record") for record in records]
    found = [(_record(record, source), record) for record in origins]
    mails = [(arrival, record) for arrival, record in found if arrival is not None]
    return Notification(
        NotificationKind.S3_EVENT,
        tuple(arrival for arrival, _ in mails),
        "" if mails else "an event that created no mail",
        tuple(record for _, record in mails),
    )


def _record(record: dict[str, object], source: Source) -> Arrival | None:
    if _member(record, "eventVersion", _text).partition(".")[0] != "2":
        raise _NotUnderstoodError("an event of a version that is not 2")
    if not _member(record, "eventName", _text).startswith("ObjectCreated:"):
        return None
    s3 = _member(record, "s3", _object)
    stored = _member(s3, "object", _object)
    key = _key(_decoded(_member(stored, "key", _text)))
    size = _optional(stored, "size", _number)
    if is_no_mail(key, size):
        return None
    bucket = _bucket(_member(_member(s3, "bucket", _object), "name", _text))
    etag = _optional(stored, "eTag", _text)
    return Arrival(bucket, key, source, etag=None if etag is None else _etag(etag), size=size)


def _decoded(key: str) -> str:
    """Undo S3's form encoding: `+` or `%20` for a space, percent signs for the rest."""
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise _NotUnderstoodError("a key that is not UTF-8") from None


def _key(key: str) -> str:
    if not is_key(key):
        raise _NotUnderstoodError("a key that S3 does not allow")
    return key


def _bucket(name: str) -> str:
    if not (name.isascii() and name.replace("-", "").replace(".", "").replace("_", "").isalnum()):
        raise _NotUnderstoodError("a bucket name that S3 does not allow")
    return name


def _etag(quoted: str) -> str | None:
    etag = quoted.strip('"')
    # It goes into a header (If-Match) later.
    if len(etag) > LONGEST_ETAG or not (etag.isascii() and etag.isprintable()) or '"' in etag:
        raise _NotUnderstoodError("an ETag that S3 does not make")
    return etag or None


def _member(members: dict[str, object], name: str, read: Callable[[object, str], _T]) -> _T:
    if name not in members:
        raise _NotUnderstoodError(f"{name} is missing")
    return read(members[name], name)


def _optional(
    members: dict[str, object], name: str, read: Callable[[object, str], _T]
) -> _T | None:
    value = members.get(name)
    return None if value is None else read(value, name)


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _NotUnderstoodError(f"{what} is no JSON object")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise _NotUnderstoodError(f"{what} is no list")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise _NotUnderstoodError(f"{what} is no string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _NotUnderstoodError(f"{what} is no valid Unicode") from None
    return value


def _number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_SIZE:
        raise _NotUnderstoodError(f"{what} is no size in bytes")
    return value


def _no_number(_: str) -> NoReturn:
    raise _NotUnderstoodError("a number that JSON does not know")
