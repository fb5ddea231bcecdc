"""A box at home in a directory of its own: configuration, real processes, and what they deliver.

Every option can be overridden for one process by its variable: `home.sync(region="us-east-1")`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from postamt_sync.config import load
from postamt_sync.demo.household import CopyLocation
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.status.report import read_report
from tests.support import forked
from tests.support.household import PEOPLE, configuration, configure

REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "postamt_sync")
PATIENCE = 60.0
"""Seconds after which what was waited for counts as never to come."""

ANNA = "anna@example.com"
BRUNO = "bruno@example.com"

TO_BE_FAST = """
[delivery]
envelope_grace = 0

[admin]
listen = ""
"""

OVERRIDES = {
    "region": "POSTAMT_SYNC_AWS__REGION",
    "bucket": "POSTAMT_SYNC_BUCKET__NAME",
    "recent": "POSTAMT_SYNC_BUCKET__RECENT_PREFIX",
    "state": "POSTAMT_SYNC_STATE_DIR",
}
_FOREIGN = (
    "AWS_",
    "POSTAMT_SYNC_",
    "LISTEN_",
    "NOTIFY_SOCKET",
    "JOURNAL_STREAM",
    "WATCHDOG_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)


OF_PYTHON = ("PYTHON", "LANG", "LC_", "LD_", "TZ", "MALLOC_")


class Process(Protocol):
    """What we need of a Popen."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int) -> None: ...
    def kill(self) -> None: ...


class Running:
    """A process of ours that was started, and the log that it writes."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.log = log
        self._reading = threading.Lock()
        self._read = 0
        self._said: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> list[dict[str, Any]]:
        """Return the log lines so far; who waits for one asks often, and reads each once."""
        with self._reading, self.log.open("rb") as log:
            log.seek(self._read)
            whole, end, _ = log.read().rpartition(b"\n")
            self._read += len(whole) + len(end)
            lines = whole.decode(errors="replace").splitlines()
            self._said += [json.loads(line) for line in lines if line.startswith("{")]
            return list(self._said)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.said() if line["event"] == event]

    def until(self, event: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for the `count`-th such event and return it."""

        def found() -> list[dict[str, Any]]:
            lines = self.events(event)
            return [x for x in lines if all(x.get(k) == v for k, v in fields.items())]

        self.wait(lambda: len(found()) >= count, f"{event} {fields or ''}")
        return found()[count - 1]

    def wait(self, true: Callable[[], object], what: str) -> None:
        """Wait until something is true; fails where the process ends before."""
        came: object = False  # what was true for a moment counts

        def over() -> bool:
            nonlocal came
            came = true()
            return bool(came) or self.process.poll() is not None

        wait_until(over, lambda: f"{what}: {self.tail()}")
        assert came or true(), f"{what}: ended with {self.process.poll()}: {self.tail()}"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end and return the exit code, negative for a signal."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.tail()}") from None

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.ended() == -signal.SIGKILL

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class Home:
    """Anna, whose mailbox is the default one, and Bruno; `environment` says where their AWS is.

    `prefix` stands before the command line of verbs: who they run as.
    """

    def __init__(
        self, root: Path, environment: Mapping[str, str], prefix: tuple[str, ...] = ()
    ) -> None:
        self.root = root
        self._prefix = prefix
        self.config = root / "config.toml"
        self.state = root / "state"
        self.maildirs = {name: root / "mail" / name for name in PEOPLE}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        self.environment = kept | nowhere | dict(environment)
        self._processes: list[Running] = []
        self.configure()

    def configure(self, more: str = "") -> None:
        """Write the configuration again, with more sections before the mailboxes."""
        text = configuration(self.root, TO_BE_FAST + more, maildirs=self.root / "mail")
        configure(self.root, text)

    def environ(self, **overrides: str) -> dict[str, str]:
        """Return a child's environment; names that are no override of ours stand for themselves."""
        return self.environment | {OVERRIDES.get(k, k): v for k, v in overrides.items()}

    def do(self, *verb: str, **overrides: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        command = (*verb, "--config", str(self.config))
        if self._prefix or not _is_usual(overrides):
            return subprocess.run(
                [*self._prefix, *COMMAND, *command],
                env=self.environ(**overrides),
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        with tempfile.TemporaryDirectory() as place:
            output = (Path(place) / "stdout", Path(place) / "stderr")
            process = forked.start(command, self.environ(**overrides), REPOSITORY, output)
            try:
                code = process.wait(PATIENCE)
            finally:
                process.kill()
            return subprocess.CompletedProcess(command, code, *map(_text, output))

    def sync(self, *options: str, **overrides: str) -> tuple[int, dict[str, Any]]:
        """Make a pass; return its exit code and the one object that it prints."""
        done = self.do("sync", "--json", *options, **overrides)
        assert "Traceback" not in done.stderr, done.stderr
        assert len(done.stdout.splitlines()) == 1, done
        return done.returncode, json.loads(done.stdout)

    def status(self) -> dict[str, Any]:
        """Return what `status` shows."""
        done = self.do("status", "--json")
        assert done.returncode == 0, done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        return shown

    def problems(self) -> dict[str, str]:
        """Return the problems of sources that `status` would show, and start no process for it."""
        settings = load(self.config, self.environ())
        with self.ledger() as ledger:
            sources = read_report(settings, ledger).sources
        return {source.source: source.problem for source in sources if source.problem}

    def start(self, *arguments: str, pass_fds: tuple[int, ...] = (), **overrides: str) -> Running:
        """Start `run`, or other arguments of this Python, and return at once."""
        run = ("run", "--debug", "--config", str(self.config))
        if not arguments and _is_usual(overrides):
            log = self.new_log()
            output = (Path(os.devnull), log)
            process = forked.start(run, self.environ(**overrides), REPOSITORY, output)
            return self.adopt(Running(process, log))
        command = arguments or (*COMMAND[1:], *run)
        return self.start_program([sys.executable, *command], pass_fds, **overrides)

    def start_program(
        self, command: Sequence[str], pass_fds: tuple[int, ...] = (), **overrides: str
    ) -> Running:
        """Start any program, of whose log lines the caller may wait."""
        log = self.new_log()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                env=self.environ(**overrides),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                pass_fds=pass_fds,
            )
        return self.adopt(Running(process, log))

    def new_log(self) -> Path:
        log = self.root / f"log{len(self._processes)}"
        log.touch()
        return log

    def adopt(self, running: Running) -> Running:
        """See to it that a process ends with the test."""
        self._processes.append(running)
        return running

    def close(self) -> None:
        """Leave no process behind."""
        for running in self._processes:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait()

    def mails(self) -> Iterator[tuple[CopyLocation, Path]]:
        """Yield every file that a mail client would see."""
        for name, root in self.maildirs.items():
            for directory in sorted(root.glob("**/")):
                if directory.name in {"new", "cur"}:
                    inbox = directory.parent == root
                    folder = "INBOX" if inbox else directory.parent.name.removeprefix(".")
                    for path in sorted(directory.iterdir()):
                        yield CopyLocation(name, folder), path

    def contents(self) -> Counter[tuple[str, bytes]]:
        """Count what a mail client would see of the bucket's mail: where, and which bytes.

        Alerts are mails of the daemon's own.
        """
        found = Counter((str(place), path.read_bytes()) for place, path in self.mails())
        for place, body in list(found):
            if body.startswith(b"From: postamt-sync <"):
                del found[place, body]
        return found

    def drafts(self) -> list[Path]:
        """Return what lies in any tmp/."""
        return [path for root in self.maildirs.values() for path in root.glob("**/tmp/*")]

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        ledger = Ledger.open_existing(self.state)
        try:
            yield ledger
        finally:
            ledger.close()

    def states(self) -> dict[str, int]:
        """Return how many objects are in which state, those that there are."""
        with self.ledger() as ledger:
            states = ledger.overview.states()
        return {ObjectState(state).value: count for state, count in states.items() if count}


def _is_usual(overrides: Mapping[str, str]) -> bool:
    """Whether nothing is said to Python itself, which reads its own variables as it starts."""
    return not any(name.startswith(OF_PYTHON) for name in overrides)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def wait_until(true: Callable[[], object], what: Callable[[], str] = str) -> None:
    """Wait until something is true, with all the patience of a slow machine.

    What takes long is asked for less often, and what is dear to ask, too: to ask takes time from
    those who work at it, of one processor a tenth at most.
    """
    pause, end = 0.01, time.monotonic() + PATIENCE
    asked = time.thread_time()
    while not true():
        assert time.monotonic() < end, f"it never came: {what()}"
        time.sleep(max(pause, 9 * (time.thread_time() - asked)))
        asked = time.thread_time()
        pause = min(pause * 1.2, 0.05)
