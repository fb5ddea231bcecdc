"""The verbs as another user than the daemon's: whose it is and what to type, never a riddle."""

from __future__ import annotations

import importlib
import json
import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from postamt_sync.ledger import Ledger
from tests.support.household import configuration, configure

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be someone else"),
]


def of_anna(root: Path) -> str:
    """Return the configuration of a household of one."""
    return configuration(
        root,
        people=("anna",),
        maildirs={"anna": root / "anna/Maildir"},
        addresses={"anna": ["example.com"]},
    )


VERBS = [
    ["status"],
    ["status", "--json"],
    ["find", "tea"],
    ["quarantine", "list"],
    ["quarantine", "show", "in/a"],
    ["quarantine", "retry", "--all"],
    ["redeliver", "in/a"],
    ["mailbox", "accept", "anna"],
    ["verify"],
    ["restore", "--dry-run"],
    ["sync"],
    ["sync", "--dry-run"],
    ["rebuild"],
    ["run"],
]


@contextmanager
def as_user(name: str) -> Iterator[None]:
    account = pwd.getpwnam(name)
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that others may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="other-user") as made:
        place = Path(made)
        place.chmod(0o755)
        yield place


@pytest.fixture
def config(open_to_all: Path) -> Path:
    """Return a configuration that everybody may read, of a ledger that is the daemon user's."""
    daemon = pwd.getpwnam("daemon")
    state = open_to_all / "state"
    Ledger.open(state).close()
    (open_to_all / "anna/Maildir/new").mkdir(parents=True)
    for path in (state, *state.iterdir(), open_to_all / "anna"):
        os.chown(path, daemon.pw_uid, daemon.pw_gid)
        path.chmod(0o700)
    path = configure(open_to_all, of_anna(open_to_all))
    load(path)  # what Python loads for it lies where nobody else may look
    importlib.import_module("rich.console")
    return path


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("hidden", [True, False])
def test_it_says_whose_it_is_and_what_to_type(
    config: Path, capsys: pytest.CaptureFixture[str], verb: list[str], hidden: bool
) -> None:
    if not hidden:
        (config.parent / "state").chmod(0o755)
    run([*verb[:1], "--help"])  # the verb's modules too
    capsys.readouterr()
    with as_user("nobody"):
        code = run([*verb, "--config", str(config)])
    captured = capsys.readouterr()
    told = " ".join(captured.err.split())
    assert code == ExitCode.TRY_LATER, told
    assert "belongs to daemon" in told
    assert f"sudo postamt-sync {' '.join(verb)} --config {config}" in told
    assert "nexpected" not in told + captured.out


def test_doctor_warns_of_what_it_cannot_see(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["doctor", "--json", "--config", str(config)]
    run(argv)
    capsys.readouterr()
    with as_user("nobody"):
        run(argv)
    found = {f["subject"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert "nexpected" not in str(found)
    for subject in ("ledger", "last mail", "mailbox anna"):
        assert found[subject]["outcome"] == "warning", found[subject]
        assert "sudo postamt-sync doctor" in found[subject]["remedy"]
    assert found["disk"]["outcome"] == "ok"
