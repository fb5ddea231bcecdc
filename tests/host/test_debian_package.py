"""The Debian package, built and installed on the Debian that it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.debian import INSIDE, PYTHONS, needs_debian, put_checkout, run, unpack

pytestmark = [pytest.mark.timeout(1500), *needs_debian, pytest.mark.slow]

COMPLETES = """\
. /usr/share/bash-completion/completions/postamt-sync
COMP_WORDS=(postamt-sync boot) COMP_CWORD=1; _postamt_sync; echo "${COMPREPLY[*]}"
"""
ENTER = 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"'
"""systemd-tmpfiles makes nothing without /proc."""
KEPT = {
    "/etc/postamt-sync/credentials": "a key",
    "/etc/postamt-sync/config.toml": "options",
    "/var/lib/postamt-sync/ledger.sqlite": "what came",
    "/var/mail/vhosts/example.org/ann/Maildir/new/1": "a mail",
}


@pytest.mark.parametrize("suite", PYTHONS)
def test_it_installs_and_a_purge_leaves_what_is_a_persons_own(suite: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    unpack(suite, root)
    put_checkout(root / "srv/postamt-sync")

    def do(*command: str) -> str:
        words = [f"{name}={value}" for name, value in INSIDE.items()]
        inside = ("unshare", "--mount", "sh", "-euc", ENTER, str(root))
        return run(*inside, "env", "-i", *words, *command).stdout.strip()

    package = do("/srv/postamt-sync/.ci/debian/build", "/srv").splitlines()[-1]
    do("dpkg", "--install", package)
    assert do("postamt-sync", "--version").startswith("postamt-sync ")
    assert do("bash", "-euc", COMPLETES) == "bootstrap"
    assert "POSTAMT" in do("zcat", "/usr/share/man/man1/postamt-sync.1.gz")
    assert do("stat", "-c", "%U %a", "/etc/postamt-sync/credentials") == "root 600"
    assert do("id", "-un", "postamt-sync") == "postamt-sync"
    verify = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no")
    do(*verify, "postamt-sync.service", "postamt-sync.socket")
    for name, text in KEPT.items():
        place = root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    do("dpkg", "--purge", "postamt-sync")

    assert not (root / "usr/lib/postamt-sync").exists()
    assert not (root / "usr/lib/systemd/system/postamt-sync.service").exists()
    assert {name: (root / name.lstrip("/")).read_text() for name in KEPT} == KEPT
