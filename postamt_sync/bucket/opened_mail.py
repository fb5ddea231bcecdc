"""Mail that its owner has opened, on its way from a sealed object into a Maildir.

A restore opens sealed mail with the person's own gpg and puts it down here, under names that say
what the plain object was; whoever delivers, a running daemon perhaps, takes it from here where S3
has the plain object no longer.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.bucket.fetched import CHUNK_BYTES, DamagedError, Fetched
from postamt_sync.mail.arrival import mail_id

_NAME = re.compile(
    r"(?P<mail>[0-9a-f]{24})_(?P<at>\d{1,12})_(?P<etag>[0-9A-Za-z-]{1,64})_(?P<sha256>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class OpenedMail:
    """One mail: its id, what its plain object was (time in seconds since 1970), and its SHA-256."""

    mail: str
    last_modified: int
    etag: str
    sha256: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.mail}_{self.last_modified}_{self.etag}_{self.sha256}"


class OpenedPlace:
    """A directory of such mail, for this user alone. Blocking."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def make(self) -> None:
        """Make the directory; raises OSError."""
        self.directory.mkdir(mode=0o700, exist_ok=True)

    def put(self, opened: Path, mail: OpenedMail) -> None:
        """Move a file that lies in the directory to where its mail is looked for."""
        opened.rename(self.directory / mail.name)

    def find(self, bucket: str, key: str, etag: str | None) -> tuple[OpenedMail, Path] | None:
        """Return the mail of a key, with `etag` only if it is that one; None if there is none."""
        wanted = mail_id(bucket, key)
        for mail, path in self._all():
            if mail.mail == wanted and etag in {None, mail.etag}:
                return mail, path
        return None

    def forget(self, mails: Iterable[str]) -> None:
        """Remove what lies there of these mail ids."""
        gone = set(mails)
        for mail, path in self._all():
            if mail.mail in gone:
                path.unlink(missing_ok=True)

    def mails(self) -> set[str]:
        """Return the ids of all that lies there."""
        return {mail.mail for mail, _ in self._all()}

    def size(self) -> int:
        """Return how many bytes of mail lie there."""
        size = 0
        for _, path in self._all():
            with suppress(FileNotFoundError):  # just forgotten
                size += path.stat().st_size
        return size

    def sweep(self) -> None:
        """Remove what an opening that was ended left behind."""
        with suppress(FileNotFoundError):
            for path in self.directory.iterdir():
                if _NAME.fullmatch(path.name) is None:
                    path.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[OpenedMail, Path]]:
        with suppress(FileNotFoundError):
            for path in list(self.directory.iterdir()):
                if (found := _NAME.fullmatch(path.name)) is not None:
                    facts = found["mail"], int(found["at"]), found["etag"], found["sha256"]
                    yield OpenedMail(*facts), path


class OpenedFile(Fetched):
    """Such a mail as if it came from the bucket; its SHA-256 is checked as it passes."""

    def __init__(self, mail: OpenedMail, path: Path) -> None:
        """Raises OSError where the file is not there."""
        self.etag = mail.etag
        self.size = path.stat().st_size
        self.last_modified = float(mail.last_modified)
        self.storage_class = "STANDARD"
        self.metadata = {}
        self._expected = mail.sha256
        self._path = path
        self._sha256 = hashlib.sha256()
        self._whole = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            with self._path.open("rb") as stream:
                while chunk := await asyncio.to_thread(stream.read, CHUNK_BYTES):
                    self._sha256.update(chunk)
                    yield chunk
        except OSError as error:
            raise DamagedError(f"it cannot be read from the disk ({error.strerror})") from error
        if self._sha256.hexdigest() != self._expected:
            raise DamagedError("its SHA-256 is not that of what was sealed")
        self._whole = True
