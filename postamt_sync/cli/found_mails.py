"""Prints what `find` has found, for people and programs.

The keys of --json are documented here and are frozen; times are ISO 8601 in UTC or null.

    words        what was asked for
    looked       where: ledger, Maildirs, Maildir of NAME, bucket, index;
                 mails: how many were looked at there; problem: why not, or null
    more         true: there are older ones, which --most would show
    mails        the newest first, each:
      mail       the mail id, as in file names and log lines
      key        of its object; null where only a file tells of the mail
      from, to, subject, message_id    of its header, decoded; null where nobody knows it
      received   when S3 stored it
      size       bytes, or null
      state      as in `status --json`; null where the ledger does not know the mail
      problem    why it waits or is quarantined, or null
      source     what announced it, or null
      evidence   what decided who gets it, or null
      recipients the envelope's, as far as it is known
      copies     of the ledger: mailbox, state, delivered, problem
      files      as they lie there now: mailbox, folder ("" is the INBOX), path, and
                 flags, words; null: in new/
      bucket     with --cloud: key, size, stored, storage_class, problem; else null
      stations   at, station, text: what is shown to people
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from postamt_sync.cli.in_force import complete
from postamt_sync.config.command import fill
from postamt_sync.events import printable
from postamt_sync.quantities import count
from postamt_sync.status.find import FindResult, FoundMail
from postamt_sync.status.moments import local_time, utc_time
from postamt_sync.status.stations import Station, stations

LONGEST_TEXT = 500
NAME = 11
"""Width of a stage's name, including the blank after it."""
MOMENT = 19
NARROW = 70
"""Below this width, what happened is printed below its time."""


def show(result: FindResult, console: Console, *, since: bool, cloud: bool, most: int) -> None:
    """Print what was found, or else where we looked and what to try."""
    for found in result.mails:
        _show_mail(found, console, running=bool(result.holder))
        console.print()
    if not result.mails:
        looked = [
            f"{each.where} ({count(each.mails, 'mail')})"
            for each in result.looked
            if not each.problem
        ]
        _line(console, f"No mail matches. Looked in: {', '.join(looked) or 'nothing'}.")
        tries = ["fewer or shorter words"]
        tries += ["a longer time after --since"] if since else []
        tries += [] if cloud else ["--cloud, for mail that has not come home"]
        _line(console, f"Try: {'; '.join(tries)}.")
    if result.more:
        more = f"see more of them with --most {10 * most}"
        _line(console, f"There are older ones: narrow it down, or {more}.")
    for each in result.looked:
        if each.problem:
            said = f"Could not look everywhere. {each.where}: {each.problem}"
            _line(console, said, style="yellow")


def _show_mail(found: FoundMail, console: Console, *, running: bool) -> None:
    header = found.header
    title = (header.subject if header else "") or "(no subject)"
    if header is None:
        title = found.key or f"mail {found.mail}"
    _line(console, _safe(title), style="bold")
    for name, value in (
        ("From", header.sender if header else ""),
        ("To", header.recipients if header else ""),
        ("Id", header.message_id if header else ""),
    ):
        if value:
            _line(console, _safe(value), f"  {name:<5}", "       ")
    for station in stations(found, time.monotonic(), running=running):
        _show_station(station, console)


def _show_station(station: Station, console: Console) -> None:
    moment = "" if station.at is None else local_time(station.at)
    lead = f"  {moment:<{MOMENT}}  {station.name:<{NAME}}"
    rest = " " * len(lead)
    if console.width < NARROW:
        rest = "    "
    _line(console, _safe(complete(station.text)), lead, rest)
    if station.path:  # to be copied as it stands
        console.print(Text(f"{rest}{_safe(station.path)}"), soft_wrap=True)


def _line(console: Console, text: str, first: str = "", other: str = "", style: str = "") -> None:
    console.print(Text(fill(text, console.width, first, other), style=style), soft_wrap=True)


def _safe(text: str) -> str:
    return printable(text, LONGEST_TEXT)


def as_json(result: FindResult, words: Sequence[str]) -> dict[str, Any]:
    """Return the documented object."""
    running = bool(result.holder)
    return {
        "words": list(words),
        "looked": [
            {"where": each.where, "mails": each.mails, "problem": each.problem or None}
            for each in result.looked
        ],
        "more": result.more,
        "mails": [_mail_as_json(found, running=running) for found in result.mails],
    }


def _mail_as_json(found: FoundMail, *, running: bool) -> dict[str, Any]:
    track, header, seen = found.track, found.header, found.object
    told = track.recipients if track else ()
    return {
        "mail": found.mail,
        "key": found.key or None,
        "from": header.sender if header else None,
        "to": header.recipients if header else None,
        "subject": header.subject if header else None,
        "message_id": header.message_id if header else None,
        "received": utc_time(found.stored_at),
        "size": track.size if track else seen.size if seen else None,
        "state": track.state if track else None,
        "problem": track.problem if track else None,
        "source": track.source if track else None,
        "evidence": track.evidence if track else None,
        "recipients": list(told or (found.envelope.recipients if found.envelope else ())),
        "copies": [
            {
                "mailbox": copy.delivery.mailbox,
                "state": copy.delivery.state,
                "delivered": utc_time(copy.delivered_at),
                "problem": copy.problem,
            }
            for copy in (track.copies if track else ())
        ],
        "files": [
            {
                "mailbox": file.mailbox,
                "folder": file.folder,
                "path": file.path,
                "flags": None if file.flags is None else list(file.flags),
            }
            for file in found.files
        ],
        "bucket": None
        if seen is None
        else {
            "key": seen.key,
            "size": seen.size,
            "stored": utc_time(seen.stored_at),
            "storage_class": seen.storage_class or None,
            "problem": seen.problem or None,
        },
        "stations": [
            {"at": utc_time(each.at), "station": each.name, "text": complete(each.text)}
            for each in stations(found, time.monotonic(), running=running)
        ],
    }
