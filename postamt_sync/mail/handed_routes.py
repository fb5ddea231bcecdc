"""The routes of the configuration at home, handed over to AWS, where there is no configuration.

They are one item in the table of the lists, with the key ROUTES_KEY. Its attributes:

    version   names this hand-over; a new one each time, even if the routes are the same
    routes    the routes as JSON
    filled    the version for which the mail that was there already has its lines in the lists
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Self

from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.routing import Addressee, Routes, VerdictFolders, decide

FORM = 1
"""The version of the JSON. A newer one is refused."""

ROUTES_KEY = {"list": {"S": "#routes"}, "line": {"S": "#"}}
"""No mailbox can have a list of this name."""


@dataclass(frozen=True)
class HandedRoutes:
    """Mailboxes with their addresses, and the folders for SES's verdicts.

    The property `routes` raises ValueError where `Routes` does.
    """

    addressees: tuple[Addressee, ...]
    folders: VerdictFolders = field(default_factory=VerdictFolders)

    @cached_property
    def routes(self) -> Routes:
        return Routes(self.addressees)

    def mailboxes(self, recipients: Iterable[str], received: str | None) -> tuple[str, ...]:
        """Return who gets a mail according to its envelope; nobody if no envelope is known.

        `recipients` are those of the receipts, `received` is the one in SES's own Received. To and
        Cc are written by the sender and do not count.
        """
        decision = decide(
            self.routes,
            receipt=recipients,
            received=received,
            header_addresses=(),
            grace_over=False,
        )
        return decision.mailboxes if decision else ()

    def folder(self, verdicts: Verdicts) -> str:
        """Return the folder that the daemon delivers such a mail to; "" is the INBOX."""
        return self.folders.of(verdicts)

    def is_junk(self, verdicts: Verdicts) -> bool:
        """Tell whether the daemon delivers such a mail to another folder than the INBOX."""
        return bool(self.folder(verdicts))

    def own_addresses(self, mailbox: str) -> tuple[str, ...]:
        """Return the addresses that are this mailbox's by name, under which it may write.

        That leaves out whole domains, and addresses that belong to a mailbox listed before it.
        """
        addresses = (a for each in self.addressees if each.name == mailbox for a in each.addresses)
        return tuple(
            address
            for address in dict.fromkeys(addresses)
            if "@" in address and self.routes.mailboxes([address]) == (mailbox,)
        )

    def to_json(self) -> str:
        mailboxes = [
            {"name": a.name, "addresses": list(a.addresses), "default": a.default}
            for a in self.addressees
        ]
        folders = asdict(self.folders)
        return json.dumps({"form": FORM, "mailboxes": mailboxes, "folders": folders})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote; raises ValueError for anything else."""
        try:
            said: dict[str, Any] = json.loads(text)
            if said["form"] != FORM:
                raise ValueError(f"form {said['form']!r} is unknown")
            addressees = tuple(
                Addressee(m["name"], tuple(m["addresses"]), bool(m["default"]))
                for m in said["mailboxes"]
            )
            there = said["folders"]
            # An older version had fewer folders.
            folders = {
                each.name: there.get(each.name, each.default) for each in fields(VerdictFolders)
            }
            return cls(addressees, VerdictFolders(**folders))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not routes") from error
