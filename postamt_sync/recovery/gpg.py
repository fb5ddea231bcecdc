"""The user's own gpg, which has the secret key, or asks an agent or a card for it.

One process opens many files, so the passphrase or PIN is asked for once at most, as long as the
agent remembers it or the card stays unlocked.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.log_line import printable

SUFFIX = ".gpg"
"""How the names of sealed files end. gpg writes what it opens to the name without it."""

_STATUS = b"[GNUPG:] "
_KEY_ID = re.compile(r"[0-9A-F]{16,40}")


class NotOpenedError(TryLaterError):
    """gpg was not allowed to use the secret key. It is not asked again in this run."""


class NoSecretKeyError(MisconfiguredError):
    """gpg has none of the secret keys for which the mail was sealed."""


@dataclass(slots=True)
class GpgResult:
    """What became of each file, by its path. `problems` says why files were not opened."""

    opened: list[Path] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)
    lacking: set[str] = field(default_factory=set)
    """Ids of keys that gpg would have needed."""


class Gpg:
    """Runs gpg as this user, with the given environment."""

    def __init__(self, program: str = "gpg", environ: Mapping[str, str] = os.environ) -> None:
        self._program = program
        self._environ = environ
        self._is_let = False

    def find(self) -> str:
        """Return the path of gpg; raises MisconfiguredError if it is not installed."""
        found = shutil.which(self._program, path=self._environ.get("PATH"))
        if found is None:
            raise MisconfiguredError(
                "It takes gpg to open sealed mail, and gpg is not installed.",
                "Install it (apt install gnupg), or open the mail where your key is: "
                "postamt-sync unseal KEY",
            )
        return found

    async def open(self, files: Sequence[Path]) -> GpgResult:
        """Open files whose names end in SUFFIX; each result is beside its file, without SUFFIX.

        gpg also says whether each of them is intact. Raises NotOpenedError if the person does not
        let it use the key, NoSecretKeyError if it has no key for any of them, MisconfiguredError if
        there is no gpg.
        """
        result = GpgResult()
        left = list(files)
        while left:
            # One file at first, until one was opened: who says no is not to be asked again.
            now = left if self._is_let else left[:1]
            left = left[len(now) :]
            await self._run(now, result)
            self._is_let = self._is_let or bool(result.opened)
        if result.lacking and not result.opened and len(result.problems) == len(files):
            raise _no_key(result.lacking)
        return result

    async def _run(self, files: Sequence[Path], result: GpgResult) -> None:
        words = ["--batch", "--yes", "--quiet", "--no-verbose", "--status-fd=1"]
        process = await asyncio.create_subprocess_exec(
            *(self.find(), *words, "--decrypt-files", "--", *map(str, files)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._own_environ(),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        said = asyncio.create_task(process.stderr.read())
        reading = _Reading(result)
        try:
            async for line in process.stdout:
                reading.take(line)
            await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            last = _last_line(await said)
        for file in files:
            if file not in result.opened and file not in result.problems:
                result.problems[file] = last or "gpg did not open it"

    def _own_environ(self) -> dict[str, str]:
        """Return the environment for gpg, which tells the agent on which terminal to ask."""
        environ = {**self._environ, "LC_ALL": "C"}
        if "GPG_TTY" not in environ and sys.stdin is not None and sys.stdin.isatty():
            environ["GPG_TTY"] = os.ttyname(sys.stdin.fileno())
        return environ


class _Reading:
    """Reads the status lines of one gpg process (GnuPG, doc/DETAILS) into a result.

    For a key that it was not allowed to use, gpg prints the same as for one that it does not have.
    What tells them apart is whether someone was asked.
    """

    def __init__(self, result: GpgResult) -> None:
        self._result = result
        self._file: Path | None = None
        self._seen: set[bytes] = set()
        self._keys: set[str] = set()

    def take(self, line: bytes) -> None:
        """Take one line. Raises NotOpenedError; then the process has to be ended."""
        if not line.startswith(_STATUS):
            return
        word, _, rest = line.removeprefix(_STATUS).rstrip(b"\n").partition(b" ")
        self._seen.add(word)
        match word:
            case b"FILE_START":
                self._file = Path(os.fsdecode(rest.partition(b" ")[2]))
                self._seen, self._keys = set(), set()
            case b"ENC_TO" | b"NO_SECKEY":
                key_id = rest.partition(b" ")[0].decode("ascii", "replace")
                self._keys |= {key_id} if _KEY_ID.fullmatch(key_id) else set()
            case b"DECRYPTION_FAILED" if self._is_refused:
                raise _not_let()
            case b"FILE_DONE" | b"FILE_ERROR" if self._file is not None:
                self._end(self._file)

    @property
    def _is_refused(self) -> bool:
        asked = not self._seen.isdisjoint({b"PINENTRY_LAUNCHED", b"SC_OP_FAILURE"})
        return asked and b"DECRYPTION_KEY" not in self._seen

    def _end(self, file: Path) -> None:
        if b"DECRYPTION_OKAY" in self._seen:
            self._result.opened.append(file)
        elif b"DECRYPTION_FAILED" in self._seen and b"DECRYPTION_KEY" not in self._seen:
            self._result.lacking |= self._keys
            self._result.problems[file] = "gpg has no secret key for it"
        else:
            self._result.problems[file] = "it is damaged, or not an OpenPGP message"
        self._file = None


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return printable(lines[-1], 200) if lines else ""


def _not_let() -> PostamtError:
    return NotOpenedError(
        "gpg was not allowed to use the secret key.",
        "Type its passphrase or PIN when gpg asks for it. Mail that is open already stays open.",
    )


def _no_key(lacking: set[str]) -> PostamtError:
    named = ", ".join(sorted(lacking)[:4])
    return NoSecretKeyError(
        f"gpg has no secret key that opens sealed mail here (it asks for {named}).",
        "Plug in your card, forward your agent (ssh -R), set GNUPGHOME, or open the mail where "
        "your key is: postamt-sync unseal KEY",
    )
