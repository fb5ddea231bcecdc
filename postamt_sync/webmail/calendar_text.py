"""An invitation (iCalendar, RFC 5545) as lines that a person can read."""

from __future__ import annotations

import re
from datetime import datetime

LONGEST = 200_000
"""Characters that are read."""
MOST_EVENTS = 20
"""How many events are shown."""
_FOLD = re.compile(r"\n[ \t]")
_LINE = re.compile(r'([A-Za-z-]{1,40})((?:;[^:;"\n]*(?:"[^"\n]*")?)*):(.*)')
_ESCAPE = re.compile(r"\\([\\;,nN])")
_METHODS = {
    "REQUEST": "Invitation",
    "CANCEL": "Cancelled",
    "REPLY": "Answer to an invitation",
    "COUNTER": "Another time is proposed",
    "PUBLISH": "Event",
}
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "perhaps"}
_SHOWN = (
    ("SUMMARY", "What"),
    ("DTSTART", "Begins"),
    ("DTEND", "Ends"),
    ("LOCATION", "Where"),
    ("ORGANIZER", "By"),
    ("RRULE", "Repeats"),
    ("STATUS", "Status"),
    ("DESCRIPTION", ""),
)


def calendar_text(text: str) -> str:
    """Return the events of a calendar as text, "" if there are none; never raises."""
    method = ""
    events: list[dict[str, str]] = []
    within: dict[str, str] | None = None
    guests: list[str] = []
    for line in _FOLD.sub("", text[:LONGEST]).split("\n"):
        found = _LINE.fullmatch(line.strip("\r"))
        if found is None:
            continue
        name, parameters, value = found[1].upper(), found[2], found[3]
        if name == "METHOD":
            method = value.strip().upper()
        elif name == "BEGIN" and value.strip().upper() == "VEVENT":
            within = {}
        elif name == "END" and value.strip().upper() == "VEVENT" and within is not None:
            events.append(within)
            within = None
        elif within is not None and name == "ATTENDEE":
            guests.append(_guest(parameters, value))
        elif within is not None:
            within.setdefault(name, _value(name, parameters, value))
    lines: list[str] = []
    for event in events[:MOST_EVENTS]:
        lines.append(_METHODS.get(method, "Event"))
        lines += [
            f"{word}: {event[name]}" if word else f"\n{event[name]}"
            for name, word in _SHOWN
            if event.get(name)
        ]
        lines.append("")
    if events and guests:
        lines.append("Guests: " + ", ".join(dict.fromkeys(guests[:100])))
    return "\n".join(lines).strip()


def _value(name: str, parameters: str, value: str) -> str:
    if name in {"DTSTART", "DTEND"}:
        return _moment(parameters, value.strip())
    if name == "ORGANIZER":
        return _person(parameters, value)
    text = _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)
    return text.strip() if name == "DESCRIPTION" else " ".join(text.split())


def _moment(parameters: str, value: str) -> str:
    zone = re.search(r';TZID="?([^;":]+)', parameters, re.IGNORECASE)
    for form, shown in (
        ("%Y%m%dT%H%M%SZ", "%a %d %b %Y, %H:%M UTC"),
        ("%Y%m%dT%H%M%S", "%a %d %b %Y, %H:%M"),
        ("%Y%m%d", "%a %d %b %Y"),
    ):
        try:
            said = datetime.strptime(value, form).strftime(shown)  # noqa: DTZ007 - as it is written
        except ValueError:
            continue
        return f"{said} ({zone[1]})" if zone and "T" in value else said
    return value


def _person(parameters: str, value: str) -> str:
    name = re.search(r';CN="?([^;":]+)', parameters, re.IGNORECASE)
    address = re.sub(r"(?i)^mailto:", "", value.strip())
    return f"{name[1].strip()} <{address}>" if name and name[1].strip() != address else address


def _guest(parameters: str, value: str) -> str:
    answer = re.search(r";PARTSTAT=([A-Z-]+)", parameters, re.IGNORECASE)
    word = _ANSWERS.get(answer[1].upper(), "") if answer else ""
    return f"{_person(parameters, value)}{f' ({word})' if word else ''}"
