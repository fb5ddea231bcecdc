"""`sync` as a CronJob runs it: two at once, stopped by its deadline, on a read-only root."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from postamt_sync.cli.verbs import VERBS, command_of
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from postamt_sync.ledger import CourierLock
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import hold, stall
from tests.end_to_end.home import REPOSITORY, Home, Running, wait_until
from tests.end_to_end.letters import letter, put
from tests.support import forked
from tests.support.documentation import documentation

README = documentation()
AT_ONCE = 4
CONTAINED = """
[ "${inside:-}" ] || inside=1 exec unshare --mount bash -euc "$BASH_EXECUTION_STRING" "$0" "$@"
mount --bind "$0" "$0"
mount -o remount,bind,ro /
exec setpriv --reuid=5000 --regid=5000 --clear-groups --bounding-set=-all --no-new-privs "$@"
"""
"""Runs a command as a pod does; $0 is the volume."""


class Pass(Running):
    """A process of `sync --json`, and what it prints."""

    def __init__(self, home: Home) -> None:
        log = home.new_log()
        self._printed = log.with_suffix(".out")
        typed = ("sync", "--json", "--config", str(home.config))
        output = (self._printed, log)
        super().__init__(forked.start(typed, home.environ(), REPOSITORY, output), log)
        home.adopt(self)

    def result(self) -> tuple[int, dict[str, Any]]:
        """Wait for the end; return the exit code and the one object that it printed."""
        code = self.ended()
        assert "Traceback" not in self.tail(), self.tail()
        (line,) = self._printed.read_text().splitlines()
        return code, json.loads(line)


def test_the_second_of_two_passes_gives_way_to_the_first(home: Home, s3: S3Double) -> None:
    one, may_end = letter("one"), threading.Event()
    put(s3, one)
    s3.next(hold(may_end), of="objects")
    first = Pass(home)
    wait_until(lambda: str(first.pid) in (CourierLock.holder(home.state) or ""))
    code, said = Pass(home).result()
    may_end.set()
    assert code == ExitCode.TRY_LATER
    assert f"by postamt-sync sync, process {first.pid}," in said["error"]
    assert "Wait until it has ended" in said["hint"]
    code, said = first.result()
    assert (code, said["delivered"]) == (0, 1)
    assert home.contents() == Counter(one.expected())


@pytest.mark.parametrize("volume", ["fresh", "used"])
def test_whatever_starts_at_once_each_mail_comes_once(
    home: Home, s3: S3Double, volume: str
) -> None:
    letters = [letter(f"letter{n}") for n in range(20)]
    if volume == "used":
        put(s3, *letters[:10])
        assert home.sync()[0] == 0
    put(s3, *letters)
    sync_runs = [each.result() for each in [Pass(home) for _ in range(AT_ONCE)]]
    codes = Counter(code for code, _ in sync_runs)
    assert set(codes) <= {ExitCode.OK, ExitCode.TRY_LATER}, sync_runs
    assert codes[ExitCode.OK] >= 1
    assert all(said["error"] and said["hint"] for code, said in sync_runs if code)
    assert home.contents() == Counter(x for one in letters for x in one.expected())
    assert home.drafts() == []
    assert home.sync()[1]["delivered"] == 0


def test_stopped_by_its_deadline_it_says_so_and_the_next_pass_goes_on(
    home: Home, s3: S3Double
) -> None:
    """As the first process of a container it would not even hear a signal without a handler."""
    one, two = letter("one"), letter("two", text="Tea? " * 200_000)
    put(s3, one, two)
    s3.next(stall(after=3), times=9, of="objects")
    process = Pass(home)
    wait_until(lambda: s3.gets)
    process.signal(signal.SIGTERM)
    code, said = process.result()
    assert code == ExitCode.TRY_LATER
    assert said == {"error": "Stopped before the end.", "hint": "The next pass goes on from here."}
    assert home.contents() == {}
    s3.heal()
    code, said = home.sync()
    assert (code, said["delivered"]) == (0, 2)
    assert home.contents() == Counter([*one.expected(), *two.expected()])


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount and become another user")
def test_it_needs_nothing_but_its_volume(s3: S3Double) -> None:
    """Without a home, a name, rights or a writable place but the volume."""
    one = letter("one")
    put(s3, one)
    with tempfile.TemporaryDirectory(prefix="volume") as volume:  # pytest's own are root's alone
        home = Home(Path(volume), s3.environment(), prefix=("bash", "-euc", CONTAINED, volume))
        for path in (home.root, *home.root.rglob("*")):
            os.chown(path, 5000, 5000)
        code, said = home.sync(HOME="/nonexistent")
        assert (code, said["delivered"]) == (0, 1)
        assert home.contents() == Counter(one.expected())


# The manifest in the README


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    (block,) = re.findall(r"^```yaml\n(apiVersion.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return {document["kind"]: document for document in yaml.safe_load_all(block)}


def in_job(manifest: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["CronJob"]["spec"]["jobTemplate"]["spec"]
    return spec


def test_its_configuration_is_a_valid_one_on_its_volume(
    manifest: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(manifest["ConfigMap"]["data"]["config.toml"])
    settings = load(path, {})
    pod = in_job(manifest)["template"]["spec"]
    mounts = {m["name"]: Path(m["mountPath"]) for m in pod["containers"][0]["volumeMounts"]}
    assert settings.state_dir.is_relative_to(mounts["mail"])
    assert all(m.maildir.is_relative_to(mounts["mail"]) for m in settings.mailboxes)
    assert str(mounts["config"] / "config.toml") in pod["containers"][0]["args"]


def test_its_command_line_exists(manifest: dict[str, Any]) -> None:
    verb, *options = in_job(manifest)["template"]["spec"]["containers"][0]["args"]
    (known,) = [each for each in VERBS if each.name == verb]
    names = {name for option in command_of(known).params for name in option.opts}
    assert {option for option in options if option.startswith("--")} <= names


def test_what_it_does_not_try_again_is_what_does_not_get_better(manifest: dict[str, Any]) -> None:
    (rule,) = in_job(manifest)["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    kinds = (
        ExitCode.UNDELIVERED,
        ExitCode.USAGE,
        ExitCode.INTERNAL,
        ExitCode.CONFIGURATION,
    )
    assert rule["onExitCodes"]["values"] == [*kinds]
    assert manifest["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid"
