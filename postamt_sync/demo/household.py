"""The demo's box at home: two mailboxes, the daemon's configuration, and what has arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.bootstrap.configuration import Home, configuration
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.demo.cloud import DOMAIN
from postamt_sync.demo.samples import ANNA, BRUNO, Sample
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee, VerdictFolders

POLL_SECONDS = 10
"""The shortest interval between polls that the configuration allows."""

JUNK = "Junk"

BESIDE_THE_STACK = """
[poll]
interval = {poll}

[delivery]
junk_folder = "{junk}"

[admin]
listen = "{admin}"
"""
"""Settings of the demo that `bootstrap init` does not write."""

WITH_WEBMAIL = f"""
[webmail]
enabled = true
host = "webmail.{DOMAIN}"
"""


@dataclass(frozen=True, slots=True)
class CopyLocation:
    """Where a copy is: a mailbox and a folder (INBOX for the mailbox itself)."""

    mailbox: str
    folder: str = "INBOX"

    def __str__(self) -> str:
        return self.mailbox if self.folder == "INBOX" else f"{self.mailbox}/{self.folder}"


class Household:
    """Anna and Bruno under one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config.toml"
        self.log = root / "daemon.log"
        self.mail = root / "mail"
        self.addresses = {"anna": ANNA, "bruno": BRUNO}
        self.maildirs = {n: self.mail / DOMAIN / n / "Maildir" for n in self.addresses}

    @property
    def handed(self) -> HandedRoutes:
        """Who gets what, as the configuration says."""
        first = next(iter(self.addresses))
        return HandedRoutes(
            tuple(Addressee(name, (a,), name == first) for name, a in self.addresses.items()),
            VerdictFolders(junk=JUNK),
        )

    def configure(
        self,
        stack: Stack,
        queue_urls: Mapping[str, str],
        port: int,
        admin: str = "",
        *,
        webmail: bool = False,
    ) -> None:
        """Write the daemon's configuration, as init does.

        `port` is that of the webhook; `admin` is the address of the status page, "" for none.
        """
        state = self.root / "state"
        state.mkdir(exist_ok=True)
        home = Home(list(self.addresses), str(self.mail), str(state), listen=[f"127.0.0.1:{port}"])
        text = configuration(stack, home, queue_urls)
        text += BESIDE_THE_STACK.format(poll=POLL_SECONDS, junk=JUNK, admin=admin)
        text += WITH_WEBMAIL if webmail else ""
        self.config.write_text(text, encoding="utf-8")

    def expected(self, sample: Sample) -> list[CopyLocation]:
        """Return where the copies of a sample belong."""
        folder = JUNK if sample.spam == "FAIL" else "INBOX"
        names = (name for name, address in self.addresses.items() if address in sample.recipients)
        return [CopyLocation(name, folder) for name in names]

    def places_of(self, content: bytes) -> list[CopyLocation]:
        """Return where mails with exactly these bytes are; a place appears once for each file."""
        return sorted(
            (
                place
                for place, path in self.delivered()
                if path.stat().st_size == len(content) and path.read_bytes() == content
            ),
            key=str,
        )

    def delivered(self) -> Iterator[tuple[CopyLocation, Path]]:
        """Yield every mail that a mail client would see."""
        for name, maildir in self.maildirs.items():
            for part in ("new", "cur"):
                for path in sorted(maildir.glob(f"{part}/*")):
                    yield CopyLocation(name), path
                for path in sorted(maildir.glob(f".*/{part}/*")):
                    yield CopyLocation(name, path.parent.parent.name.removeprefix(".")), path
