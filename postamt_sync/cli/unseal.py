"""`postamt-sync unseal KEY`: writes one sealed mail, decrypted, to standard output."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.bucket import Bucket, Listed, SealedPlace
from postamt_sync.cli.options import ConfigPath, Debug
from postamt_sync.config import Settings, load
from postamt_sync.errors import ExitCode, MisconfiguredError, PostamtError, UsageError
from postamt_sync.events import printable
from postamt_sync.ledger import Ledger
from postamt_sync.recovery.gpg import Gpg
from postamt_sync.recovery.unsealing import Unsealing

CHUNK_BYTES = 1 << 20


def unseal(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="S3 key of the mail or of its sealed object, its last part, or a mail id.",
            show_default=False,
        ),
    ],
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Write one sealed mail to standard output, opened by your own gpg.

    Downloads it, has gpg open it (whose agent asks for a passphrase or card), and
    writes it if its SHA-256 is that of the mail that was sealed. Works on any machine
    that has this configuration, may read the bucket, and has the secret key or a way
    to it (GNUPGHOME, a forwarded agent).

    \b
    Examples:
      postamt-sync unseal incoming/4k1s0v8q7p5n > mail.eml
      postamt-sync unseal 4k1s0v8q7p5n | less
    """
    settings = load(config)
    place = SealedPlace(*settings.sealed_place)
    if not place.is_there:
        raise MisconfiguredError(
            "The configuration names no place for sealed mail.",
            'Say where it lies, as in: sealed_prefix = "sealed/" in [bucket]',
        )
    with tempfile.TemporaryDirectory(prefix="postamt-unseal-") as directory:
        path = asyncio.run(_opened(settings, place, key, Path(directory)))
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    return ExitCode.OK


async def _opened(settings: Settings, place: SealedPlace, key: str, directory: Path) -> Path:
    """Return the file with the decrypted mail. Raises PostamtError."""
    gpg = Gpg()
    gpg.find()
    async with open_bucket(settings) as bucket:
        entry = await _find(settings, bucket, place, key)
        unsealed = await Unsealing(bucket, gpg, directory).open([entry])
    for error in unsealed.failed.values():
        raise error
    return unsealed.opened[0].path


async def _find(settings: Settings, bucket: Bucket, place: SealedPlace, name: str) -> Listed:
    meant = await asyncio.to_thread(_meant, settings, place, name)
    for key in dict.fromkeys(meant):
        found = await place.sealed_of(bucket, key)
        exact = [entry for entry in found if entry.sealed_key == name]
        if found:
            return (exact or found)[0]
        async for page in bucket.pages(key):
            if any(entry.key == key for entry in page):
                raise UsageError(
                    f"{printable(key)} is not sealed: it lies in the bucket as it came.",
                    "For another copy at home: postamt-sync redeliver KEY",
                )
            break
    raise UsageError(
        f"There is no sealed object of {printable(name)}.",
        "Name its key, as postamt-sync find --cloud shows it.",
    )


def _meant(settings: Settings, place: SealedPlace, name: str) -> list[str]:
    """Return the plain keys that a person may mean, the most likely first."""
    if (plain := place.plain_key(name)) != name:
        return [plain]
    known = []
    with suppress(PostamtError):  # the box at home may be lost
        ledger = Ledger.open_existing(settings.state_dir)
        try:
            known.append(ledger.repair.find(name).key)
        finally:
            ledger.close()
    as_key = [name] if name.startswith(place.prefix) else []
    return [*as_key, *known, *([] if as_key else [f"{place.prefix}{name}"])]
