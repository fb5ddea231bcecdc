"""What happened to each mail and when, as the daemon's log lines tell it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Journey:
    """One mail: when each step was first seen (seconds since 1970), and what it was told."""

    steps: dict[str, float] = field(default_factory=dict)
    source: str = ""
    """What announced it first: webhook, poll …"""
    evidence: str = ""
    """What decided who gets it."""
    mailboxes: list[str] = field(default_factory=list)
    """Those it was delivered to, a second time too if that should happen."""


class Journeys:
    """All mails, by the `mail` id of the log lines."""

    def __init__(self) -> None:
        self._by_mail: dict[str, Journey] = {}

    def of(self, mail: str) -> Journey:
        return self._by_mail.setdefault(mail, Journey())

    def hear(self, event: dict[str, Any]) -> None:
        """Take one log line of the daemon; lines about anything but a mail are ignored."""
        mail, name = event.get("mail"), event.get("event")
        if not isinstance(mail, str) or not isinstance(name, str):
            return
        journey = self.of(mail)
        at = _seconds(event.get("time"))
        if name == "delivered":
            journey.mailboxes.append(str(event.get("mailbox", "")))
            journey.steps[name] = at
        else:
            journey.steps.setdefault(name, at)
        if name == "announced":
            journey.source = journey.source or str(event.get("source", ""))
        if name == "routed":
            journey.evidence = str(event.get("evidence", ""))


def _seconds(stamp: object) -> float:
    try:
        return dt.datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return dt.datetime.now(dt.UTC).timestamp()
