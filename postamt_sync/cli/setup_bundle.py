"""What `setup` hands over to the box: the bundle and its passphrase."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.key_file import SYNC_CREDENTIALS, smtp_credentials
from postamt_sync.bootstrap.resources.access_key import AccessKeyResource
from postamt_sync.cli.bootstrap.stack import Opened
from postamt_sync.cli.console import paragraph
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable
from postamt_sync.host.service.program import Program
from postamt_sync.setup.answers import CONFIGURATION, AnswerFile, Answers
from postamt_sync.setup.bundle import Bundle, is_bundle
from postamt_sync.setup.first_mail import new_key, put_first_mail
from postamt_sync.setup.passphrase import new_passphrase

USUAL = Path("postamt-sync.bundle")


def contents(account: Opened, file: AnswerFile, answers: Answers, first_key: str) -> Bundle:
    """Gather what the box needs. Raises MisconfiguredError if a key's file is not here."""
    kept = account.keys
    files = {
        CONFIGURATION: (file.directory / CONFIGURATION).read_text(encoding="utf-8"),
        SYNC_CREDENTIALS: _secret(kept.sync),
    }
    for one in kept.sending:
        files[smtp_credentials(one.mailbox)] = _secret(one.key)
    return Bundle(files, first_key, bool(answers.dovecot))


def _secret(key: AccessKeyResource) -> str:
    found = key.where(key.keys())
    if found is None:
        raise MisconfiguredError(
            f"The key of {key.user} is not on this machine, and AWS tells it only once.",
            "Run setup where it was made, or make another key (what uses the old one stops): "
            f"{key.place.replace}",
        )
    return found[1].read_text(encoding="utf-8")


def first_mail_of(account: Opened, file: AnswerFile, answers: Answers) -> Answers:
    """Put the first mail into the bucket, where it waits for the box, unless it is there
    already."""
    if answers.first_key is None:
        answers = replace(answers, first_key=new_key(account.stack))
        file.write(answers)  # first, so that after an interruption the same mail is put again
    assert answers.first_key
    assert answers.people
    assert answers.domains
    address = f"{answers.people[0]}@{answers.domains[0]}"
    put_first_mail(account.stack, account.aws, answers.first_key, address)
    return answers


def hand_over(
    bundle: Bundle,
    path: Path,
    file: AnswerFile,
    answers: Answers,
    console: Console,
    *,
    anew: bool,
) -> None:
    """Write the bundle, unless the same one was made before, and say what to do with it.

    If it is gone from its usual place, we assume that it was used, and do not write its keys there
    again unasked. If the box is this machine, the person joins right here, as root.
    """
    console.print(Text("\nThe box at home", style="bold"))
    passphrase = ""
    made = answers.bundle_digest == bundle.digest and (is_bundle(path) or path == USUAL.absolute())
    if anew or not made:
        passphrase = new_passphrase()
        bundle.write(path, passphrase)
    elif not is_bundle(path):
        paragraph(
            console,
            "The file for it was made before. If it is lost, and the box has not joined, make "
            "another: postamt-sync setup --new-bundle",
            "  ",
        )
        return
    whole, name = (shlex.quote(printable(each, 4096)) for each in (os.fspath(path), path.name))
    if answers.here:
        paragraph(console, "The rest needs root, and there is no sudo here. As root, type:", "  ")
        command = f"{shlex.quote(os.fspath(Program.running().command))} join {whole}"
    else:
        paragraph(console, "Copy the file to it, as with:", "  ")
        console.print(Text(f"    scp {whole} BOX:", style="bold"), soft_wrap=True)
        paragraph(console, "With the program installed there too, type:", "  ")
        command = f"sudo postamt-sync join {name}"
    console.print(Text(f"    {command}", style="bold"), soft_wrap=True)
    if passphrase:
        paragraph(console, "It asks for this passphrase, which is shown this once:", "  ")
        console.print(Text(f"    {passphrase}", style="bold"), soft_wrap=True)
        if not answers.here:
            paragraph(console, "Once it has joined, delete the file here too.", "  ")
        file.write(replace(answers, bundle_digest=bundle.digest))  # only after it was shown
    else:
        again = "Lost? A new one: postamt-sync setup --new-bundle"
        paragraph(console, f"Its passphrase was shown when it was made. {again}", "  ")
