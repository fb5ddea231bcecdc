"""A person's own gpg, with a home of its own: makes keys, exports them, opens what is sealed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

has_gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")
has_sq = pytest.mark.skipif(not shutil.which("sq"), reason="sq is not installed")


class Gpg:
    """One home; the path is short, for the agent's socket lies in it.

    Its agent ends with the program that it was started with. That one ends with us, however we end,
    and takes the keys away.
    """

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="gpg"))
        self.environ = {**os.environ, "GNUPGHOME": str(self.home), "LC_ALL": "C.UTF-8"}
        agent = ["gpg-agent", "--quiet", "--daemon", "sh", "-c", 'cat; exec rm -rf "$GNUPGHOME"']
        self._until_we_end = subprocess.Popen(agent, stdin=subprocess.PIPE, env=self.environ)
        # Else gpg starts another one, and the later of the two takes the socket from the other.
        until = time.monotonic() + 60
        while not (self.home / "S.gpg-agent").exists() and time.monotonic() < until:
            time.sleep(0.01)

    def __call__(self, *words: str, data: bytes = b"", check: bool = True) -> bytes:
        done = subprocess.run(
            ["gpg", "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase=", *words],
            input=data,
            capture_output=True,
            env=self.environ,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self, name: str, *kind: str) -> str:
        """Make a key by what `--quick-gen-key` takes; returns its fingerprint."""
        self("--quick-gen-key", f"{name} <{name}@example.com>", *(kind or ("future-default",)))
        return self.fingerprint(name)

    def make_rsa(self, name: str, bits: int = 2048) -> str:
        """Make one of RSA with a subkey for encryption."""
        fingerprint = self.make(name, f"rsa{bits}", "sign", "2y")
        self("--quick-add-key", fingerprint, f"rsa{bits}", "encr", "1y")
        return fingerprint

    def fingerprint(self, name: str) -> str:
        listed = self("--with-colons", "--list-keys", f"{name}@example.com").decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))

    def public(self, name: str, *, armor: bool = True) -> bytes:
        return self(*(["--armor"] if armor else []), "--export", f"{name}@example.com")

    def secret(self, name: str) -> bytes:
        return self("--armor", "--export-secret-keys", f"{name}@example.com")

    def open(self, message: bytes) -> bytes:
        return self("--decrypt", data=message)

    def tell_agent(self, options: str) -> None:
        """Give the agent other options; it forgets passphrases. A new one would outlive us."""
        (self.home / "gpg-agent.conf").write_text(options)
        subprocess.run(["gpgconf", "--reload", "gpg-agent"], env=self.environ, check=True)

    def close(self) -> None:
        """End the agent of this home, and forget the keys."""
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environ, check=False)
        self._until_we_end.communicate()
