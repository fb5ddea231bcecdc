"""Feedback: what SES reports about mail that bounced, was complained about or was never sent."""

from __future__ import annotations

import enum
from dataclasses import dataclass

UNINTERESTING = frozenset({"Send", "Delivery", "DeliveryDelay", "Open", "Click", "Subscription"})
"""Events that nobody has to act on. Who publishes them to our topic gets them here as well."""


NOT_SENT = {
    "Reject": ("reject", "reason", "SES rejected it"),
    "Rendering Failure": ("failure", "errorMessage", "SES could not make it from its template"),
    "RenderingFailure": ("failure", "errorMessage", "SES could not make it from its template"),
}
"""Events about a mail that SES accepted and then did not send: the member that describes it, the
member of that one that gives the reason, and what to tell a person."""


class FeedbackKind(enum.StrEnum):
    """What happened to the mail."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    NOT_SENT = "not-sent"
    """SES accepted it, then found a virus in it or could not render its template."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One bounce, one complaint, or one mail that was not sent.

    `id` is SES's own and stays the same when the event is repeated. `at` is in seconds since 1970,
    None if SES gave no time. All texts are valid Unicode, and untrusted.
    """

    kind: FeedbackKind
    id: str
    at: float | None
    recipients: tuple[str, ...]
    reason: str
    subject: str
