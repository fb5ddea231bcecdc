"""SNS messages: reading their JSON, and verifying that AWS signed them.

Until `verify` has returned, every field is untrusted.
AWS: "Verifying the signatures of Amazon SNS messages", "Parsing Amazon SNS message formats".
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postamt_sync.errors import PostamtError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LONGEST_LINE = 4096
"""Characters of a one-line field; the longest genuine one is SubscribeURL with about 500."""


class MessageType(enum.StrEnum):
    """What SNS sends to a subscriber."""

    NOTIFICATION = "Notification"
    SUBSCRIPTION_CONFIRMATION = "SubscriptionConfirmation"
    UNSUBSCRIBE_CONFIRMATION = "UnsubscribeConfirmation"


class MalformedError(PostamtError):
    """This is not an SNS message; sending it again does not help. The sentence quotes nothing."""

    temporary = False


class ForgedError(PostamtError):
    """This message is not from our topic, or is not proven to be: it must not be believed."""

    temporary = False


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """One message as SNS delivers it, over HTTPS or as the body of a queue's message.

    `subject` is None if absent, which is not the same as empty: an absent one is not signed.
    `token` and `subscribe_url` are empty except in the two kinds of confirmation.
    """

    type: MessageType
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature_version: str
    signature: bytes
    certificate_url: str
    subject: str | None = None
    token: str = ""
    subscribe_url: str = ""


def read_message(body: bytes) -> SnsMessage:
    """Read the JSON of one message. Unknown members are ignored.

    Raises MalformedError. The caller has to limit the size of `body`.
    """
    fields = _json_object(body)
    try:
        kind = MessageType(_line(fields, "Type"))
    except ValueError:
        raise MalformedError("The message has an unknown Type.") from None
    confirms = kind is not MessageType.NOTIFICATION
    return SnsMessage(
        type=kind,
        message_id=_line(fields, "MessageId"),
        topic_arn=_line(fields, "TopicArn"),
        message=_text(fields, "Message"),
        timestamp=_line(fields, "Timestamp"),
        signature_version=_line(fields, "SignatureVersion"),
        signature=_base64(_line(fields, "Signature")),
        certificate_url=_line(fields, "SigningCertURL"),
        subject=_subject(fields),
        token=_line(fields, "Token") if confirms else "",
        subscribe_url=_line(fields, "SubscribeURL") if confirms else "",
    )


def string_to_sign(message: SnsMessage) -> bytes:
    """Return what AWS signs: names and values, each followed by a newline, the last one too."""
    pairs = [("Message", message.message), ("MessageId", message.message_id)]
    if message.type is MessageType.NOTIFICATION:
        if message.subject is not None:
            pairs.append(("Subject", message.subject))
        pairs.append(("Timestamp", message.timestamp))
    else:
        pairs.append(("SubscribeURL", message.subscribe_url))
        pairs.append(("Timestamp", message.timestamp))
        pairs.append(("Token", message.token))
    pairs += [("TopicArn", message.topic_arn), ("Type", message.type.value)]
    return "".join(f"{name}\n{value}\n" for name, value in pairs).encode()


def verify(message: SnsMessage, key: RSAPublicKey) -> None:
    """Raise ForgedError unless the owner of `key` has signed this message."""
    # Whoever has a key has loaded this; a daemon that SNS does not tell of mail starts without.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    digest: hashes.HashAlgorithm
    match message.signature_version:
        case "2":
            digest = hashes.SHA256()
        case "1":
            digest = hashes.SHA1()  # noqa: S303 - SNS's own default; the topic decides, not we
        case _:
            raise ForgedError("The message has an unknown SignatureVersion.")
    try:
        key.verify(message.signature, string_to_sign(message), padding.PKCS1v15(), digest)
    except InvalidSignature:
        raise ForgedError("The signature does not match the message.") from None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise MalformedError("The body is not JSON in UTF-8.") from None
    if not isinstance(fields, dict):
        raise MalformedError("The body is not a JSON object.")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"The message has no {name}, or it is not text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedError(f"The {name} of the message is not Unicode text.") from None
    return value


def _line(fields: dict[str, Any], name: str) -> str:
    """Read a one-line field. With newlines in fields, a signed text could be read in two ways."""
    value = _text(fields, name)
    if not value or len(value) > LONGEST_LINE or not value.isprintable():
        raise MalformedError(f"The {name} of the message is empty, too long or not one line.")
    return value


def _subject(fields: dict[str, Any]) -> str | None:
    if fields.get("Subject") is None:
        return None
    subject = _text(fields, "Subject")
    if len(subject) > LONGEST_LINE or "\n" in subject:
        raise MalformedError("The Subject of the message is too long or not one line.")
    return subject


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("The Signature of the message is not base64.") from None
