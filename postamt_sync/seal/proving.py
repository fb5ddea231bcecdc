"""Canaries: words that only the holder of the secret key can read, and types back to prove it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync import atomic_file
from postamt_sync.errors import UsageError
from postamt_sync.log_line import printable
from postamt_sync.owners_rights import make_directories, on_the_way_to
from postamt_sync.regular_file import read_small
from postamt_sync.seal.owner_keys import OwnerKey, canary

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _IN_GROUP = 4, 5
_WORD = re.compile(rf"[{_LETTERS}]{{5}}(?:-[{_LETTERS}]{{5}}){{3}}")
_LIST = "canaries.json"

_TEXT = (
    "Whoever reads this can open mail that is sealed for this key. The word to type back:\n\n{}\n"
)


@dataclass(frozen=True, slots=True)
class Canary:
    """A message for one key. Only the SHA-256 of the word in it is kept."""

    fingerprint: str
    digest: str
    message: str = ""

    def is_answered_by(self, text: str) -> bool:
        """Tell whether a text contains the word, in upper or lower case."""
        return any(
            secrets.compare_digest(_digest(word), self.digest)
            for word in _WORD.findall(text.lower())
        )


def make_canary(key: OwnerKey) -> Canary:
    """Draw a word, and encrypt it for one certificate in the same way as mail."""
    letters = ("".join(secrets.choice(_LETTERS) for _ in range(_IN_GROUP)) for _ in range(_GROUPS))
    word = "-".join(letters)
    return Canary(key.fingerprint, _digest(word), canary(_TEXT.format(word), key))


def write_canaries(canaries: Sequence[Canary], directory: Path) -> list[Path]:
    """Write a message for each key and the hashes of their words; return the messages' paths."""
    make_directories(directory)
    written = []
    with on_the_way_to(directory):
        for each in canaries:
            path = directory / f"canary-{each.fingerprint}.asc"
            atomic_file.write(path, each.message.encode())
            written.append(path)
        digests = {each.fingerprint: each.digest for each in canaries}
        atomic_file.write(directory / _LIST, json.dumps(digests, indent=1).encode() + b"\n")
    return written


def read_canaries(directory: Path, keys: Iterable[OwnerKey]) -> list[Canary]:
    """Return the canaries for these keys; raises UsageError if there are none in the directory."""
    path = directory / _LIST
    shown = printable(str(path), 200)
    try:
        with on_the_way_to(path):
            digests = json.loads(read_small(path))
    except (OSError, ValueError):
        raise UsageError(
            f"There are no canaries in {shown}.", "Write them with: postamt-sync seal prove --write"
        ) from None
    found = []
    for key in keys:
        digest = digests.get(key.fingerprint) if isinstance(digests, dict) else None
        if not isinstance(digest, str):
            raise UsageError(
                f"{shown} has no canary for {key.fingerprint}.",
                "The keys were changed since. Write new ones: postamt-sync seal prove --write",
            )
        found.append(Canary(key.fingerprint, digest))
    return found


def opened_here(each: Canary, program: str = "gpg") -> str:
    """Return what the user's own gpg reads, "" if it has no secret key or does not open it.

    gpg may ask for a passphrase or a card, through its agent.
    """
    gpg = shutil.which(program)
    if gpg is None:
        return ""
    listed = [gpg, "--batch", "--quiet", "--list-secret-keys", each.fingerprint]
    has = subprocess.run(listed, capture_output=True, check=False)  # noqa: S603
    if has.returncode:
        return ""
    done = subprocess.run(  # noqa: S603
        [gpg, "--quiet", "--decrypt"],
        input=each.message.encode(),
        stdout=subprocess.PIPE,
        check=False,
    )
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()
