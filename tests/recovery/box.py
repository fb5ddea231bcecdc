"""A box at home with one mailbox for Anna, one for Bruno, and a bucket on loopback."""

from __future__ import annotations

import shutil
from pathlib import Path

from postamt_sync.app.open_bucket import UNSEALED
from postamt_sync.app.sync import SyncOptions, SyncResult, SyncRun
from postamt_sync.bucket import Bucket, OpenedPlace
from postamt_sync.bucket.data_keys import DataKeys
from postamt_sync.config import Settings, load
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from tests.doubles.inbox import MemoryLog
from tests.doubles.s3 import S3Double
from tests.support.household import configure

LONG_AGO = 1_700_000_000.0


class Box:
    """A box at home whose every pass is a new process as far as the ledger is concerned."""

    def __init__(self, root: Path, s3: S3Double) -> None:
        self.root = root
        self.s3 = s3
        self.log = MemoryLog()
        self.config = configure(root)

    @property
    def settings(self) -> Settings:
        return load(self.config, {})

    @property
    def state(self) -> Path:
        return self.root / "state"

    def put(self, *names: str, to: str = "anna", since: float = 0.0) -> None:
        """Let mail come, each a second after the one before."""
        people = ", ".join(f"{name}@example.com" for name in to.split())
        for number, name in enumerate(names):
            self.s3.put(
                f"incoming/{name}",
                f"To: {people}\r\nSubject: {name}\r\n\r\n{name}\r\n".encode(),
                last_modified=LONG_AGO + since + number,
            )

    async def sync(self, wish: SyncOptions | None = None) -> SyncResult:
        work = SyncRun(self.settings, Events(self.log), self.bucket(), wish or SyncOptions())
        return await work.run()

    def lose(self) -> None:
        """The disk with the ledger and its copy is gone."""
        shutil.rmtree(self.state)

    def files(self, mailbox: str = "anna") -> dict[str, list[Path]]:
        """Return each mail's files by its subject; alerts, which are no object's, are left out."""
        found: dict[str, list[Path]] = {}
        for part in ("new", "cur"):
            for path in (self.root / mailbox).glob(f"**/{part}/*"):
                text = path.read_text()
                if text.startswith("From: postamt-sync <"):
                    continue
                subject = text.partition("Subject: ")[2].partition("\n")[0].strip()
                found.setdefault(subject, []).append(path)
        return found

    def counts(self, mailbox: str = "anna") -> dict[str, int]:
        return {subject: len(paths) for subject, paths in sorted(self.files(mailbox).items())}

    def said(self, event: str) -> bool:
        return event in self.log.events()

    def states(self) -> dict[str, int]:
        ledger = Ledger.open_existing(self.state)
        try:
            return {str(s): n for s, n in ledger.overview.states().items() if n}
        finally:
            ledger.close()

    def state_of(self, name: str) -> str:
        ledger = Ledger.open_existing(self.state)
        try:
            return ledger.repair.find(f"incoming/{name}").state
        finally:
            ledger.close()

    def bucket(self, data_keys: DataKeys | None = None) -> Bucket:
        """Return the bucket as every verb opens it."""
        session = self.s3.session()
        bucket = Bucket(self.s3.bucket, self.s3.region, session=session, data_keys=data_keys)
        bucket.opened = OpenedPlace(self.state / UNSEALED)
        return bucket
