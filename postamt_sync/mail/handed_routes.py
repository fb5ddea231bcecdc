"""Who gets what, as the configuration at home says it, handed over to where no configuration is.

They lie in the table of the lists, as one item; its keys are ROUTES_KEY. Its attributes:

    version   names this handing over; another one each time, even of the same routes
    routes    the routes in their text form
    filled    the version for which all mail that was there has its lines in the lists
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
"""The version of the text form; a newer one is not read."""

ROUTES_KEY = {"list": {"S": "#routes"}, "line": {"S": "#"}}
"""No mailbox has such a list."""


@dataclass(frozen=True)
class HandedRoutes:
    """Mailboxes with their addresses, and the folders of the verdicts.

    Raises ValueError, of `routes`, as `Routes` does.
    """

    addressees: tuple[Addressee, ...]
    folders: VerdictFolders = field(default_factory=VerdictFolders)

    @cached_property
    def routes(self) -> Routes:
        return Routes(self.addressees)

    def mailboxes(self, recipients: Iterable[str], received: str | None) -> tuple[str, ...]:
        """Return who gets a mail by its envelope; nobody where no envelope is known.

        `recipients` are those of the receipts, `received` whom SES's own Received names. To and Cc
        are the sender's words and count for nothing.
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
        """Return into which folder the daemon puts such a mail; "" is the INBOX."""
        return self.folders.of(verdicts)

    def is_junk(self, verdicts: Verdicts) -> bool:
        """Tell whether the daemon puts such a mail elsewhere than into the INBOX."""
        return bool(self.folder(verdicts))

    def own_addresses(self, mailbox: str) -> tuple[str, ...]:
        """Return the addresses that are explicitly this mailbox's: as those it may write.

        A whole domain is none, nor is an address that another mailbox has before this one.
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
                raise ValueError(f"form {said['form']!r} is not known")
            addressees = tuple(
                Addressee(m["name"], tuple(m["addresses"]), bool(m["default"]))
                for m in said["mailboxes"]
            )
            there = said["folders"]
            # An older version knew of fewer folders.
            folders = {
                each.name: there.get(each.name, each.default) for each in fields(VerdictFolders)
            }
            return cls(addressees, VerdictFolders(**folders))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("these are no routes") from error
