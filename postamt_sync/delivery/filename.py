"""Names of delivered files, frozen: a lost ledger is rebuilt from them.

    <seconds>.M<micros>K<hash of bucket and key>E<hash of ETag>[R<n>].postamt,S=<size>,W=<vsize>

Nothing in a name comes from the sender or from a key as it stands: there are digits, hex and fixed
letters. No host name and no process id, so that the same mail has the same name on every machine.
Dovecot orders a batch by seconds and then by micros; both are the time S3 stored the mail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postamt_sync.mail.arrival import ETAG_HASH_LENGTH, MAIL_ID_LENGTH, etag_hash, mail_id

SUFFIX = ".postamt"
"""In every name of ours."""

_NAME = re.compile(
    r"(?P<stem>(?P<seconds>\d{1,12})\.M(?P<micros>\d{6})"
    rf"K(?P<mail>[0-9a-f]{{{MAIL_ID_LENGTH}}})E(?P<etag>[0-9a-f]{{{ETAG_HASH_LENGTH}}})"
    r"(?:R(?P<edition>[1-9]\d{0,5}))?\.postamt)"
    r"(?:,S=(?P<size>\d{1,15}),W=(?P<vsize>\d{1,15}))?(?:[:;,].*)?",
    re.ASCII,
)

_LETTERS = "0.M000000K"

_INFO = ":2,"

_EDITION = re.compile(r"R\d+(?=\.postamt\Z)", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileName:
    """What a name of ours says; `size` and `vsize` are bytes.

    Both are None in `tmp/`, where the stem alone is the name.
    """

    stem: str
    mail_id: str
    etag_hash: str
    edition: int
    stored_at: float
    size: int | None
    vsize: int | None

    @property
    def is_letter(self) -> bool:
        """Whether this is a letter of the daemon's own: no object of any bucket, so without time.

        It says nothing about the bucket's mail, whatever it is that a name is asked.
        """
        return self.stored_at == 0


def make_stem(bucket: str, key: str, etag: str, stored_at: float, edition: int = 0) -> str:
    """Return the stem for one content of one object.

    `stored_at` is S3's LastModified in seconds since 1970. `edition` counts redeliveries: a name
    that Dovecot has seen is never used again.
    """
    return stem_of(mail_id(bucket, key), etag, stored_at, edition)


def stem_of(mail: str, etag: str, stored_at: float, edition: int = 0) -> str:
    """Return the same for an object whose mail id is known."""
    micros = max(0, round(stored_at * 1_000_000))
    again = f"R{edition}" if edition else ""
    return (
        f"{micros // 1_000_000}.M{micros % 1_000_000:06d}K{mail}E{etag_hash(etag)}{again}.postamt"
    )


def first_stem(stem: str) -> str:
    """Return the stem that the same content of the same object had in its first edition."""
    return _EDITION.sub("", stem)


def final_name(stem: str, size: int, vsize: int, flags: str = "") -> str:
    """Return the name in `new/`, or with flags in `cur/`; sizes are bytes of the very file that is
    renamed.

    A wrong value is served forever by Dovecot, so they are counted while writing, never guessed.
    """
    info = f"{_INFO}{flags}" if flags else ""
    return f"{stem},S={size},W={vsize}{info}"


def part_of(name: str) -> str:
    """Return in which part of its folder a file of this name belongs: only `cur/` knows flags."""
    return "cur" if _INFO in name else "new"


def mail_and_stem(name: str) -> tuple[str, str] | None:
    """Return mail id and stem of a mail's name, for those who look at very many.

    None also for a letter of the daemon's own.
    """
    match = _NAME.fullmatch(name)
    if match is None or match["stem"].startswith(_LETTERS):
        return None
    return match["mail"], match["stem"]


def parse_name(name: str) -> FileName | None:
    """Read a name of ours in any folder, with whatever flags or fields a client has added."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    size, vsize = match["size"], match["vsize"]
    return FileName(
        stem=match["stem"],
        mail_id=match["mail"],
        etag_hash=match["etag"],
        edition=int(match["edition"] or 0),
        stored_at=int(match["seconds"]) + int(match["micros"]) / 1_000_000,
        size=None if size is None else int(size),
        vsize=None if vsize is None else int(vsize),
    )
