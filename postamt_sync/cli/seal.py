"""`postamt-sync seal`: the keys that mail is sealed for, and the proof that their owner can open
it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from postamt_sync.aws.clients import dynamodb_client, new_session
from postamt_sync.aws.errors import aws_call
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.cli.verbs import end_without_verb
from postamt_sync.config import Settings, load
from postamt_sync.config.command import LONGEST_PATH, typed
from postamt_sync.errors import ExitCode, PostamtError, UsageError
from postamt_sync.log_line import printable
from postamt_sync.quantities import count
from postamt_sync.seal.key_files import ReadKey, read_key_files, usable_keys
from postamt_sync.seal.owner_keys import OwnerKey, encryption_fingerprints
from postamt_sync.seal.proving import (
    Canary,
    make_canary,
    opened_here,
    read_canaries,
    write_canaries,
)
from postamt_sync.seal.records import SealRecords

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class UnprovedError(PostamtError):
    """A message encrypted for a key could not be opened."""

    exit_code = ExitCode.FINDINGS


@app.callback(invoke_without_command=True)
def seal(context: typer.Context) -> None:
    """Mail at AWS encrypted with your own OpenPGP keys: check them, and prove them.

    \b
    Examples:
      postamt-sync seal check
      postamt-sync seal prove
    """
    end_without_verb(context)


@app.command()
def check(
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Check the keys in [seal], without AWS.

    Lists each key, the subkeys that mail is encrypted for, and until when. Refuses
    secret keys, and keys that nothing can be encrypted for.

    \b
    Examples:
      postamt-sync seal check
      postamt-sync seal check --json
    """
    settings = _with_keys(load(config))
    now = datetime.now(UTC)
    found = read_key_files(settings.seal_keys, now)
    if json:
        print_json({"keys": [_as_json(each) for each in found]}, indent=None)
    else:
        for each in found:
            _show(each, now)
        if len(found) == 1:
            print("One key: lose it, and all sealed mail is lost. Name a second one, kept apart.")
    return ExitCode.OK if all(each.key for each in found) else ExitCode.FINDINGS


@app.command()
def prove(
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="DIRECTORY",
            help="Write a message for each key there, to be opened elsewhere; nothing is proved.",
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIRECTORY", help="Prove with the words of the messages there."
        ),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD", help="With --from: the words, in any order."),
    ] = None,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001
) -> ExitCode:
    """Prove that you can open what is sealed. Until then, nothing is.

    Encrypts a word for each key. If gpg on this machine has the secret key, the
    message is opened on the spot; if not, it is shown, for you to open with your own
    gpg or sq, and to type the word. Then the proof is stored at AWS, for just these
    keys: run it with an administrator's credentials, after bootstrap apply.

    \b
    Examples:
      postamt-sync seal prove
      postamt-sync seal prove --write /media/stick
      postamt-sync seal prove --from /media/stick k7wzm-... 3qpah-...
    """
    if write and (from_ or words):
        raise UsageError("--write only writes.", "Prove with --from, once the words are read.")
    if words and not from_:
        raise UsageError("Words belong to messages.", "Say where they are, with --from DIRECTORY.")
    settings = _with_keys(load(config))
    keys = usable_keys(settings.seal_keys)
    if write:
        _write(keys, write, settings)
        return ExitCode.OK
    if from_:
        _answered(read_canaries(from_, keys), " ".join(words or _typed_lines()))
    else:
        for key in keys:
            _ask(key, settings)
    records = _records(settings)
    with aws_call("keep the proof", name=settings.seal_table):
        records.prove(encryption_fingerprints(keys), datetime.now(UTC))
    print(f"Proved: what is sealed for {count(len(keys), 'key')} can be opened.")
    return ExitCode.OK


def _with_keys(settings: Settings) -> Settings:
    if not settings.seal.keys:
        raise UsageError(
            "The configuration names no keys: nothing is sealed.",
            'Name your public keys, as in: keys = ["owner.asc", "backup.asc"] in [seal]',
        )
    return settings


def _records(settings: Settings) -> SealRecords:
    client = dynamodb_client(new_session(settings.aws.region), settings.aws.region)
    return SealRecords(client, settings.seal_table)


def _show(each: ReadKey, now: datetime) -> None:
    if each.key is None:
        assert each.refused is not None
        print(f"{each.shown}: refused. {each.refused.problem} {each.refused.hint}")
        return
    key = each.key
    print(f"{each.shown}: {key.name or 'a key without a name'}")
    print(f"  key {key.fingerprint}")
    for one in key.encryption:
        print(f"  encrypted for {one.fingerprint}, {_until(one.expires)}")
    print(f"  {_until(key.expires)}{': soon' if key.ends_soon(now) else ''}")


def _until(expires: datetime | None) -> str:
    return "without an end" if expires is None else f"until {expires:%Y-%m-%d}"


def _as_json(each: ReadKey) -> dict[str, Any]:
    if each.key is None:
        assert each.refused is not None
        return {"file": each.shown, "refused": each.refused.problem, "hint": each.refused.hint}
    key = each.key
    return {
        "file": each.shown,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "encryption": [
            {"fingerprint": one.fingerprint, "expires": _iso(one.expires)} for one in key.encryption
        ],
        "expires": _iso(key.expires),
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _write(keys: Sequence[OwnerKey], directory: Path, settings: Settings) -> None:
    shown = printable(str(directory), LONGEST_PATH)
    try:
        written = write_canaries([make_canary(key) for key in keys], directory)
    except OSError as error:
        raise UsageError(
            f"Nothing can be written to {shown}: {error.strerror}.", "Name another directory."
        ) from None
    for path in written:
        print(printable(str(path), LONGEST_PATH))
    command = typed(f"seal prove --from {shlex.quote(shown)} WORD WORD", settings.source)
    print(f"Open each, with gpg --decrypt FILE or sq, then: {command}")


def _ask(key: OwnerKey, settings: Settings) -> None:
    each = make_canary(key)
    print(f"{key.fingerprint} ({key.name}):", end=" ", flush=True)
    read = opened_here(each)
    if each.is_answered_by(read):
        print("opened by gpg on this machine.")
        return
    if not sys.stdin.isatty():
        print("not opened.")
        command = typed("seal prove --write DIRECTORY", settings.source)
        raise UnprovedError(
            "gpg on this machine does not open it, and nobody is there to be asked.",
            f"Open it where the secret key is, after: {command}",
        )
    print(f"open this with your own gpg or sq:\n\n{each.message}")
    for _ in range(3):
        if each.is_answered_by(input("The word in it: ")):
            return
        print("That is not the word.")
    raise _unproved(key.fingerprint)


def _answered(canaries: list[Canary], words: str) -> None:
    for each in canaries:
        if not each.is_answered_by(words):
            raise _unproved(each.fingerprint)


def _typed_lines() -> list[str]:
    return sys.stdin.read().split()


def _unproved(fingerprint: str) -> UnprovedError:
    return UnprovedError(
        f"The word for {fingerprint} is missing: nothing is proved, and nothing is sealed.",
        "Open its message with the secret key, or name only keys that you can open with.",
    )
