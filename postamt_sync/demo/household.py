"""The demo's box at home: two mailboxes, the daemon's configuration, and what has arrived."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.demo.cloud import PREFIX, RECENT_PREFIX, REGION, Cloud
from postamt_sync.demo.samples import ANNA, BRUNO, Sample

POLL_SECONDS = 10
"""The shortest pause between two looks that the configuration allows."""

JUNK = "Junk"

CONFIGURATION = """\
state_dir = "{state}"

[aws]
region = "{region}"

[bucket]
name = "{bucket}"
prefix = "{prefix}"
recent_prefix = "{recent}"

[webhook]
listen = "127.0.0.1:{port}"
path = "/sns"
public_url = "http://127.0.0.1:{port}/sns"
topic_arn = "{topic}"

[poll]
interval = {interval}

[delivery]
junk_folder = "{junk}"

[admin]
listen = ""
"""

MAILBOX = """
[[mailboxes]]
name = "{name}"
maildir = "{maildir}"
addresses = ["{address}"]
default = {default}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy lies: a mailbox and its folder (INBOX for the mailbox itself)."""

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
        self.maildirs = {name: self.mail / name / "Maildir" for name in self.addresses}

    def configure(self, cloud: Cloud, port: int) -> None:
        """Write the daemon's configuration; `port` is where its webhook listens."""
        state = self.root / "state"
        state.mkdir(exist_ok=True)
        text = CONFIGURATION.format(
            state=_quoted(state),
            region=REGION,
            bucket=cloud.bucket,
            prefix=PREFIX,
            recent=RECENT_PREFIX,
            port=port,
            topic=cloud.topic_arn,
            interval=POLL_SECONDS,
            junk=JUNK,
        )
        for name, address in self.addresses.items():
            text += MAILBOX.format(
                name=name,
                maildir=_quoted(self.maildirs[name]),
                address=address,
                default=str(name == "anna").lower(),
            )
        self.config.write_text(text, encoding="utf-8")

    def expected(self, sample: Sample) -> list[Place]:
        """Return where the copies of a sample belong."""
        folder = JUNK if sample.spam == "FAIL" else "INBOX"
        names = (name for name, address in self.addresses.items() if address in sample.recipients)
        return [Place(name, folder) for name in names]

    def places_of(self, content: bytes) -> list[Place]:
        """Return where mails with exactly these bytes lie; a place comes once for each file."""
        return sorted(
            (
                place
                for place, path in self.delivered()
                if path.stat().st_size == len(content) and path.read_bytes() == content
            ),
            key=str,
        )

    def delivered(self) -> Iterator[tuple[Place, Path]]:
        """Yield every mail that a mail client would see."""
        for name, maildir in self.maildirs.items():
            for part in ("new", "cur"):
                for path in sorted(maildir.glob(f"{part}/*")):
                    yield Place(name), path
                for path in sorted(maildir.glob(f".*/{part}/*")):
                    yield Place(name, path.parent.parent.name.removeprefix(".")), path


def _quoted(path: Path) -> str:
    """Escape a path for a TOML string in double quotes."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
