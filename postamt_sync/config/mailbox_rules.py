"""Rules for the mailboxes: their names, their addresses, and Maildirs apart from all else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from postamt_sync.config.addresses import comparable
from postamt_sync.config.findings import ConfigFinding
from postamt_sync.config.settings import DeliverySettings, Mailbox, Settings
from postamt_sync.config.verdict_folders import OPTIONS
from postamt_sync.threads import ask_disk


def mailboxes_exist(settings: Settings) -> Iterator[ConfigFinding]:
    if not settings.mailboxes:
        yield ConfigFinding(("mailboxes",), "must have at least one entry.", "[[mailboxes]]")


def names_unique(settings: Settings) -> Iterator[ConfigFinding]:
    seen: dict[str, int] = {}
    for number, mailbox in _readable(settings, "name"):
        if mailbox.name in seen:
            yield ConfigFinding(
                ("mailboxes", number, "name"),
                f'must be unique; "{mailbox.name}" is also the name of '
                f"mailbox #{seen[mailbox.name] + 1}.",
            )
        seen.setdefault(mailbox.name, number)


def one_default(settings: Settings) -> Iterator[ConfigFinding]:
    mailboxes = settings.mailboxes
    defaults = [number for number, mailbox in _readable(settings, "default") if mailbox.default]
    for number in defaults[1:]:
        yield ConfigFinding(
            ("mailboxes", number, "default"),
            f"must be true for one mailbox only; {_label(settings, defaults[0])} is the default.",
            "default = false",
        )
    if mailboxes and not defaults and all("default" in m.__dict__ for m in mailboxes):
        yield ConfigFinding(
            ("mailboxes",),
            "must have one default, which gets what matches no address.",
            "default = true",
        )


def addresses_unique(settings: Settings) -> Iterator[ConfigFinding]:
    seen: dict[str, int] = {}
    for number, mailbox in _readable(settings, "addresses"):
        for place, address in enumerate(mailbox.addresses):
            first = seen.setdefault(comparable(address), number)
            here = ("mailboxes", number, "addresses", place)
            if first != number:
                yield ConfigFinding(
                    here,
                    f'"{address}" is in two mailboxes: {_label(settings, first)} and '
                    f"{_label(settings, number)}. Keep it in one.",
                )
            elif [comparable(a) for a in mailbox.addresses[:place]].count(comparable(address)):
                yield ConfigFinding(
                    here, f'"{address}" stands twice in {_label(settings, number)}.'
                )


def mailboxes_reachable(settings: Settings) -> Iterator[ConfigFinding]:
    for number, mailbox in _readable(settings, "addresses"):
        if not mailbox.addresses and not mailbox.default:
            yield ConfigFinding(
                ("mailboxes", number, "addresses"),
                "must not be empty: only the default mailbox gets mail without.",
                'addresses = ["thomas@example.com"]',
            )


def maildirs_apart(settings: Settings) -> Iterator[ConfigFinding]:
    """Links are followed: `/var/spool/mail` and `/var/mail` are one place on Debian."""
    places = [(n, m, _real(m.maildir)) for n, m in _readable(settings, "maildir")]
    for index, (number, _, place) in enumerate(places):
        for other, _, earlier in places[:index]:
            at = ("mailboxes", number, "maildir")
            if place == earlier:
                yield ConfigFinding(at, f"is the Maildir of {_label(settings, other)} too.")
            elif place.is_relative_to(earlier):
                yield ConfigFinding(at, f"lies inside the Maildir of {_label(settings, other)}.")
            elif earlier.is_relative_to(place):
                yield ConfigFinding(at, f"lies around the Maildir of {_label(settings, other)}.")


def state_outside_maildirs(settings: Settings) -> Iterator[ConfigFinding]:
    state = _real(settings.state_dir)
    for number, mailbox in _readable(settings, "maildir"):
        if state.is_relative_to(_real(mailbox.maildir)):
            yield ConfigFinding(
                ("state_dir",),
                f"must not lie inside the Maildir of {_label(settings, number)}.",
                'state_dir = "/var/lib/postamt-sync"',
            )


def backup_elsewhere(settings: Settings) -> Iterator[ConfigFinding]:
    """The state directory has a copy anyway; a Maildir is no place for files of ours."""
    if settings.backup_dir is None:
        return
    backup = _real(settings.backup_dir)
    if backup == _real(settings.state_dir):
        yield ConfigFinding(
            ("backup_dir",),
            "must be another directory than state_dir, best on another disk.",
            'backup_dir = "/mnt/second-disk/postamt-sync"',
        )
    for number, mailbox in _readable(settings, "maildir"):
        if backup.is_relative_to(_real(mailbox.maildir)):
            yield ConfigFinding(
                ("backup_dir",), f"must not lie inside the Maildir of {_label(settings, number)}."
            )


def folders_over_lmtp(settings: Settings) -> Iterator[ConfigFinding]:
    """Over LMTP the folder is a part of the address, and Dovecot 2.3 takes ASCII alone there."""
    by_lmtp = [m.name for _, m in _readable(settings, "delivery") if m.delivery == "lmtp"]
    if not by_lmtp:
        return
    for option in OPTIONS.values():
        if not getattr(settings.delivery, option).isascii():
            yield ConfigFinding(
                ("delivery", option),
                "must have plain letters, digits and signs (ASCII) only, for the mailbox "
                f'"{by_lmtp[0]}" gets its mail over LMTP, which names folders by no others.',
                f'{option} = "{DeliverySettings.model_fields[option].default}"',
            )


def _readable(settings: Settings, option: str) -> Iterator[tuple[int, Mailbox]]:
    """Yield the mailboxes whose `option` could be read: one bad entry must not hide the others."""
    for number, mailbox in enumerate(settings.mailboxes):
        if option in mailbox.__dict__:
            yield number, mailbox


def _label(settings: Settings, number: int) -> str:
    name = settings.mailboxes[number].__dict__.get("name")
    return f'"{name}"' if name else f"mailbox #{number + 1}"


def _real(path: Path) -> Path:
    """Follow links; a disk that hangs is the business of its mailbox, and no link."""
    return ask_disk(lambda: Path(os.path.realpath(path)), path)
