"""Who gets what, as the configuration at home says it, handed over to where no configuration is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.routing import Addressee, Routes, folder_for

FORM = 1
"""The version of the text form; a newer one is not read."""


@dataclass(frozen=True)
class HandedRoutes:
    """Mailboxes with their addresses, and the folders of the verdicts; "" is the INBOX.

    Raises ValueError, of `routes`, as `Routes` does.
    """

    addressees: tuple[Addressee, ...]
    junk_folder: str = "Junk"
    virus_folder: str = "Quarantine"
    dmarc_folder: str = "Junk"

    @cached_property
    def routes(self) -> Routes:
        return Routes(self.addressees)

    def is_junk(self, verdicts: Verdicts) -> bool:
        """Tell whether the daemon puts such a mail elsewhere than into the INBOX."""
        folder = folder_for(
            verdicts, junk=self.junk_folder, virus=self.virus_folder, dmarc=self.dmarc_folder
        )
        return bool(folder)

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
        folders = {
            "junk": self.junk_folder,
            "virus": self.virus_folder,
            "dmarc": self.dmarc_folder,
        }
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
            folders = said["folders"]
            return cls(addressees, folders["junk"], folders["virus"], folders["dmarc"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("these are no routes") from error
