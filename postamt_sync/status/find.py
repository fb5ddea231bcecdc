"""`find`: which mails have these words, and where each of them is.

It searches the ledger, the Maildirs and, if asked, bucket and index, and combines what they know of
a mail. A place that cannot be searched is named, and does not affect the results of the others.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from postamt_sync.config import Settings
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.tracks import Copy, Track, Word
from postamt_sync.mail.arrival import Envelope
from postamt_sync.quantities import count
from postamt_sync.status.bucket_search import BucketFindings, BucketObject
from postamt_sync.status.maildir_search import MaildirFindings, MaildirSearch, MailFile, by_mail


@dataclass(frozen=True, slots=True)
class FoundMail:
    """One mail, as each place knows it; None if the place does not know it or was not searched.

    `envelope` is that of the index if the ledger has none.
    """

    mail: str
    stored_at: float
    track: Track | None = None
    header: MailHeader | None = None
    files: tuple[MailFile, ...] = ()
    object: BucketObject | None = None
    envelope: Envelope | None = None
    unread: tuple[str, ...] = ()
    """Mailboxes with a copy whose Maildir could not be searched."""
    by_lmtp: tuple[str, ...] = ()
    """Mailboxes with a copy that was handed over by LMTP: Dovecot named its file."""

    @property
    def key(self) -> str:
        """The key of its object, "" if the mail is known only by its file."""
        if self.track is not None:
            return self.track.key
        return self.object.key if self.object is not None else ""


@dataclass(frozen=True, slots=True)
class Looked:
    """A place that was searched, the number of mails there, and its problem, or ""."""

    where: str
    mails: int = 0
    problem: str = ""


@dataclass(slots=True)
class FindResult:
    """Newest first; `more` tells that others were left out."""

    mails: list[FoundMail] = field(default_factory=list)
    looked: list[Looked] = field(default_factory=list)
    more: bool = False
    holder: str = ""
    """Who delivers at present, "" if nobody does."""


class _All(Container[str]):
    """Matches every mail."""

    def __contains__(self, mail: object) -> bool:
        return True


class Find:
    """One search, in steps. `ledger` is None if it cannot be opened; `problem` says why."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger | None,
        problem: PostamtError | None,
        words: Sequence[Word],
        since: float | None,
        most: int,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._words = words
        self._since = since
        self._most = most
        self._mails: dict[str, FoundMail] = {}
        self.result = FindResult(holder=CourierLock.holder(settings.state_dir) or "")
        if problem is not None:
            self.result.looked.append(Looked("ledger", problem=str(problem)))

    def at_home(self, *, read_files: bool = True) -> None:
        """Search ledger and Maildirs. Blocking. Failures are in the result.

        Without `read_files` no file is opened: mail that only its header would match is not found.
        """
        if self._ledger is not None:
            tracks = self._ledger.tracks
            for track in tracks.search(self._words, self._since, self._most + 1):
                self._mails[track.mail] = FoundMail(
                    track.mail, track.stored_at, track, track.header
                )
            self.result.looked.append(Looked("ledger", tracks.count()))
        known: Container[str] = _All()
        if read_files:
            known = self._ledger.headers.mails() if self._ledger is not None else ()
        search = MaildirSearch({*self._mails}, self._words, known, self._since)
        self._take_in(search.through(self._roots(all_of_them=read_files)))

    def asked_of_bucket(self) -> list[tuple[str, str]]:
        """Return mail ID and key of what was found at home and is to be looked up in the bucket."""
        return [(f.mail, f.key) for f in self._newest() if f.key]

    def in_bucket(self, findings: BucketFindings) -> None:
        """Add what the bucket has."""
        for mail, seen in findings.objects.items():
            self._mails[mail] = replace(self._mails[mail], object=seen)
        for header, seen in findings.unknown:
            before = self._mails.get(header.mail, FoundMail(header.mail, header.stored_at))
            self._mails[header.mail] = replace(before, header=before.header or header, object=seen)
        left = f"{count(findings.unread, 'older one')} not read" if findings.unread else ""
        self.result.looked.append(Looked("bucket", findings.looked_at, left))

    def not_in(self, where: str, error: PostamtError) -> None:
        """Note that bucket or index could not be searched."""
        self.result.looked.append(Looked(where, problem=str(error)))

    def without_envelope(self) -> list[str]:
        """Return the keys whose recipients only the index may know."""
        return [f.key for f in self._newest() if f.key and not (f.track and f.track.recipients)]

    def in_index(self, envelopes: Mapping[str, Envelope], asked: int) -> None:
        """Add what the index says about some keys."""
        for mail, found in self._mails.items():
            if found.key in envelopes:
                self._mails[mail] = replace(found, envelope=envelopes[found.key])
        self.result.looked.append(Looked("index", asked))

    def end(self) -> FindResult:
        """Return the result."""
        newest = self._newest()
        self.result.mails = newest
        self.result.more = len(self._mails) > len(newest)
        return self.result

    def _newest(self) -> list[FoundMail]:
        newest = sorted(self._mails.values(), key=lambda f: (-f.stored_at, f.mail))
        return newest[: self._most]

    def _roots(self, *, all_of_them: bool) -> Iterable[tuple[str, Path]]:
        """Yield the Maildirs, or only those that have got a copy of what was found."""
        for mailbox in self._settings.mailboxes:
            if all_of_them and mailbox.delivery != "lmtp":
                yield mailbox.name, mailbox.maildir
        for found in self._mails.values():  # roots that an earlier configuration named
            for copy in found.track.copies if found.track else ():
                if copy.delivery.maildir and not self._is_handed_over(copy):
                    yield copy.delivery.mailbox, Path(copy.delivery.maildir)

    def _is_handed_over(self, copy: Copy) -> bool:
        """Whether its root is the spool of a mailbox that is delivered to by LMTP."""
        return Path(copy.delivery.maildir).parent == self._settings.state_dir / "lmtp"

    def _take_in(self, findings: MaildirFindings) -> None:
        told = self._ledger.tracks.of([h.mail for h, _ in findings.unknown]) if self._ledger else {}
        for header, file in findings.unknown:
            track = told.get(header.mail)
            before = self._mails.get(file.mail, FoundMail(file.mail, file.stored_at, track))
            self._mails[file.mail] = replace(
                before,
                stored_at=track.stored_at if track else file.stored_at,
                header=before.header or header,
            )
        files = by_mail([*findings.files, *(file for _, file in findings.unknown)])
        for mail, found in self._mails.items():
            copies = found.track.copies if found.track else ()
            mailboxes = {copy.delivery.mailbox for copy in copies}
            self._mails[mail] = replace(
                found,
                files=tuple(dict.fromkeys(files.get(mail, ()))),
                unread=tuple(sorted(mailboxes & findings.problems.keys())),
                by_lmtp=tuple(c.delivery.mailbox for c in copies if self._is_handed_over(c)),
            )
        self.result.looked.append(Looked("Maildirs", findings.looked_at))
        for mailbox, error in findings.problems.items():
            self.result.looked.append(Looked(f"Maildir of {mailbox}", problem=str(error)))
