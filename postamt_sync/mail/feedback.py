"""Feedback: what SES says of a mail that came back, was complained of or was never sent."""

from __future__ import annotations

import enum
from dataclasses import dataclass

UNINTERESTING = frozenset({"Send", "Delivery", "DeliveryDelay", "Open", "Click", "Subscription"})
"""Kinds of event that nobody has to act on; whoever switches them on gets them at the topic too."""


NOT_SENT = {
    "Reject": ("reject", "reason", "SES rejected it"),
    "Rendering Failure": ("failure", "errorMessage", "SES could not make it from its template"),
    "RenderingFailure": ("failure", "errorMessage", "SES could not make it from its template"),
}
"""Kinds of event about a mail that SES took and did not send: the member that tells of it, what
says why in there, and what that means."""


class FeedbackKind(enum.StrEnum):
    """What happened to the mail."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    NOT_SENT = "not-sent"
    """SES took it, and found then that it had a virus, or could not be made."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One bounce, complaint or mail that was not sent.

    `id` is SES's own, the same each time that it is announced. `at` is in seconds since 1970. All
    texts are valid Unicode, and the words of strangers.
    """

    kind: FeedbackKind
    id: str
    at: float | None
    recipients: tuple[str, ...]
    reason: str
    subject: str
