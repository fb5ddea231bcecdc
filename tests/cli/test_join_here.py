"""Setup on the box itself: what needs root is done by sudo, and no file is left behind."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from postamt_sync.cli.join import join_here
from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode, TryLaterError, UsageError
from postamt_sync.setup.bundle import Bundle, open_bundle, read_bundle
from postamt_sync.setup.passphrase import read_passphrase

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be someone else"),
]
BUNDLE = Bundle({"config.toml": "[aws]\n", "credentials": "secret"}, "incoming/first", dovecot=True)
SUDO = """\
#!/bin/sh
/bin/cat > told.passphrase
/bin/cp -p "$3" told.bundle
printf '%s\\n' "$@" > told.words
exit CODE
"""


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's own directory, with nothing but it on the search path."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.chown(home, 65534, 65534)
        monkeypatch.setenv("PATH", name)
        monkeypatch.chdir(name)
        os.seteuid(65534)
        try:
            yield home
        finally:
            os.seteuid(0)


def put_sudo(directory: Path, code: int) -> None:
    """Put a sudo there that keeps what it was given."""
    program = directory / "sudo"
    program.write_text(SUDO.replace("CODE", str(code)))
    program.chmod(0o755)


def test_root_gets_all_of_it_over_sudo(directory: Path) -> None:
    put_sudo(directory, 0)
    out, path = io.StringIO(), directory / "a bundle"
    join_here(BUNDLE, path, Console(file=out, width=60))
    command, verb, named = (directory / "told.words").read_text().splitlines()
    assert (Path(command).name, verb, named) == ("postamt-sync", "join", str(path))
    given = directory / "told.bundle"
    assert given.stat().st_mode & 0o777 == 0o600
    (passphrase,) = (directory / "told.passphrase").read_text().splitlines()
    assert open_bundle(read_bundle(given), read_passphrase(passphrase)) == BUNDLE
    assert passphrase not in out.getvalue()
    assert f"sudo {command} join '{path}'" in out.getvalue()
    assert not path.exists()


def test_what_it_could_not_do_leaves_no_keys_behind(directory: Path) -> None:
    put_sudo(directory, 70)
    with pytest.raises(TryLaterError, match="postamt-sync setup"):
        join_here(BUNDLE, directory / "b", Console(file=io.StringIO()))
    assert not (directory / "b").exists()


def test_without_sudo_it_says_what_root_is_to_type(directory: Path) -> None:
    with pytest.raises(UsageError, match="Type as root: postamt-sync setup"):
        join_here(BUNDLE, directory / "b", Console(file=io.StringIO()))
    assert not (directory / "b").exists()


def test_who_is_not_root_is_told_how_join_is_typed(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["join", "a bundle"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "sudo postamt-sync join 'a bundle'" in said
    assert "--dry-run" not in said
