"""The sealing Lambda, which does once a day what `seal/sealing.py` says.

The certificates that it seals with are in its zip, in `owner_keys`. It is not allowed to delete
anything, and does not have to. Failures are in the item `state`, and tried again by the next run.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config

from postamt_sync.index.invocation_event import SEALED_KEYS
from postamt_sync.mail.seal_table import mail_place
from postamt_sync.seal.earlier_seals import ALL, EarlierSeals
from postamt_sync.seal.one_seal import Sealer
from postamt_sync.seal.owner_keys import KeyRefusedError, OwnerKey, read_owner_key
from postamt_sync.seal.records import SealRecords, SealState
from postamt_sync.seal.sealer_bucket import SealerBucket
from postamt_sync.seal.sealing import Refusal, SealingRun

OWNER_KEYS = "owner_keys"
"""The directory of the certificates in the zip, each in a file of its own."""

WORK = Path("/tmp/postamt-seal")  # noqa: S108 - Lambda's own, of one process
"""Where a mail is while it is being sealed. A run that was killed may have left some there."""

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"total_max_attempts": 4, "mode": "standard"},
    max_pool_connections=8,
)


class Context(Protocol):
    """What Lambda passes with an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still take."""


def handle(_event: object, context: Context) -> dict[str, Any]:
    """Run once, and return how it went (Lambda Developer Guide, "Handler")."""
    state = seal_all(
        os.environ,
        Path(__file__).parents[2] / OWNER_KEYS,
        WORK,
        _client,
        lambda: context.get_remaining_time_in_millis() / 1_000,
    )
    return {"sealed": state.sealed, "backlog": state.backlog, "refused": state.refused}


def seal_all(
    environ: Mapping[str, str],
    keys_in: Path,
    work: Path,
    client: Callable[[str], Any],
    remaining: Callable[[], float],
) -> SealState:
    """Seal what may be sealed. `client` creates clients of boto3, `remaining` returns seconds."""
    records = SealRecords(client("dynamodb"), environ["TABLE"])
    keys: Sequence[OwnerKey] = ()
    key_problem = ""
    try:
        keys = owner_keys(keys_in, datetime.now(UTC))
    except KeyRefusedError as error:
        key_problem = error.problem
    bucket = SealerBucket(client("s3"), environ["BUCKET"])
    index = environ.get("INDEX_FUNCTION", "")
    forget = forgetting(client("lambda"), index)
    places = environ["PREFIX"], environ["SEALED_PREFIX"]
    earlier = EarlierSeals(bucket, *places, forget) if index else None
    former = records.state()
    sealer = Sealer(
        *(bucket, *places, keys, records.is_proved, forget, cleared(work), bucket.keeps_versions),
        forget_again=earlier is not None and (former is None or former.forgotten != ALL),
    )
    run = SealingRun(
        bucket,
        sealer,
        records,
        timedelta(days=int(environ["AFTER_DAYS"])),
        lambda: datetime.now(UTC),
        remaining,
        _say,
        place=mail_place(environ["BUCKET"], environ["PREFIX"]),
        earlier=earlier,
    )
    return run.refuse(Refusal.KEY, key_problem) if key_problem else run.run()


def owner_keys(directory: Path, now: datetime) -> Sequence[OwnerKey]:
    """Return the keys; raises KeyRefusedError if there is none, or one of them has expired."""
    files = sorted(directory.glob("*.pgp"))
    if not files:
        raise KeyRefusedError("There is no key in the function.", "Run: bootstrap apply")
    return [read_owner_key(file.read_bytes(), now) for file in files]


def forgetting(client: Any, function: str) -> Callable[[str], None]:
    """Return a function that has the index function forget a mail's words.

    It does nothing if `function` is "": then the index keeps them.
    """

    def forget(key: str) -> None:
        if not function:
            return
        payload = json.dumps({SEALED_KEYS: [key]}).encode()
        answer = client.invoke(FunctionName=function, Payload=payload)
        said = answer["Payload"].read()
        if "FunctionError" in answer or json.loads(said) != {SEALED_KEYS: 1}:
            raise OSError("The index function did not take it.")

    return forget


def cleared(directory: Path) -> Path:
    """Empty a directory, which is created if need be, and return it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    return directory


def _client(service: str) -> Any:
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]


def _say(level: str, event: str, fields: Mapping[str, object]) -> None:
    """Write one line of JSON, so that CloudWatch Logs can search it by field."""
    sys.stdout.write(json.dumps({"level": level, "event": event, **fields}) + "\n")
    sys.stdout.flush()
