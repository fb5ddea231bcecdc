"""Where an object's bytes begin in the file of its mail, after the fields that we put on top."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from postamt_sync.delivery.disk import open_mail
from postamt_sync.mail.client_encryption import TAG_BYTES


def lead_of(stream: BinaryIO, file_size: int, object_size: int) -> int | None:
    """Return how many bytes on top are ours; None if the file is not what was delivered.

    If SES encrypted the mail, the object is longer by its tag. What we put on top are whole lines,
    each longer than the tag, so only one of the two positions is the beginning of a line.
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
    """Return how a file differs from its object, by a hash in hex; "" if it does not.

    The fields that we put on top are left out. `size` is the file's size in bytes, `stored` the
    object's. The MD5 of an object that SES encrypted is not the mail's, and proves nothing.
    """
    try:
        with open_mail(path) as stream:
            lead = lead_of(stream, size, stored)
            if lead is None:
                return f"it has {size} bytes, which is not what was delivered"
            if algorithm == "md5" and size - lead != stored:
                return ""
            stream.seek(lead)
            same = hashlib.file_digest(stream, algorithm).hexdigest() == digest
    except FileNotFoundError:  # moved a moment ago
        return ""
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if same:
        return ""
    doubt = "; under KMS its ETag proves nothing" if algorithm == "md5" else ""
    return f"by its {algorithm.upper()} it is not what was delivered{doubt}"
