"""The bytes of an object in the file of its mail: behind the fields that we put on top."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from postamt_sync.delivery.disk import open_mail
from postamt_sync.mail.client_encryption import TAG_BYTES


def lead_of(stream: BinaryIO, file_size: int, object_size: int) -> int | None:
    """Return how many bytes are ours; None where the file is not what was delivered.

    Of what SES encrypted the object is longer than the mail, by its tag. What we put on top are
    whole lines, each longer than that, so one of the two places alone is the beginning of a line.
    """
    lead = file_size - object_size
    if _begins_a_line(stream, lead):
        return lead
    if _begins_a_line(stream, lead + TAG_BYTES):
        return lead + TAG_BYTES
    return None


def _begins_a_line(stream: BinaryIO, place: int) -> bool:
    if place <= 0:
        return place == 0
    stream.seek(place - 1)
    return stream.read(1) == b"\n"


def content_damage(path: Path, size: int, stored: int, algorithm: str, digest: str) -> str:
    """Compare a file, less the fields that we put on top of it, with what the object hashes to.

    `stored` are the object's bytes. The MD5 of what SES encrypted is not the mail's.
    """
    try:
        with open_mail(path) as stream:
            lead = lead_of(stream, size, stored)
            if lead is None:
                return f"{size} bytes, which is not what was delivered"
            if algorithm == "md5" and size - lead != stored:
                return ""
            stream.seek(lead)
            same = hashlib.file_digest(stream, algorithm).hexdigest() == digest
    except FileNotFoundError:  # moved a moment ago
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if same:
        return ""
    doubt = "; under KMS its ETag proves nothing" if algorithm == "md5" else ""
    return f"other bytes than were delivered, by its {algorithm.upper()}{doubt}"
