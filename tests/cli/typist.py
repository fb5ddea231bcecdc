"""A person at a terminal: types at a verb that runs in a process of its own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pexpect
import pyte

from tests.doubles.moto import Moto

PATIENCE = 60
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment_of(cloud: Moto, home: Path, **more: str) -> dict[str, str]:
    """Return what a person's shell has, with the emulator in the place of AWS."""
    there = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "POSTAMT_", "LC_"))}
    return {
        **there,
        **cloud.environment,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "TZ": "Europe/Dublin",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


class Typist:
    """Types at one command; `screen` is what the terminal shows."""

    def __init__(
        self, command: str, directory: Path, environment: Mapping[str, str], columns: int = 80
    ) -> None:
        self.columns = columns
        self._child: Any = pexpect.spawn(
            "bash",
            ["-c", command],
            cwd=directory,
            # The terminal says how wide it is, not what the tests run in.
            env={k: v for k, v in environment.items() if k not in {"COLUMNS", "LINES"}},
            dimensions=(200, columns),
            timeout=PATIENCE,
            encoding="utf-8",
            codec_errors="replace",
        )
        self.said = ""
        self.asked = 0

    def sees(self, pattern: str, patience: float = PATIENCE) -> str:
        """Wait for a text, and return everything since the last one."""
        self._child.expect(pattern, timeout=patience)
        before: str = self._child.before + self._child.after
        self.said += before
        return before

    def answers(self, question: str, answer: str) -> str:
        """Wait for a question and type; returns what was shown since the last."""
        shown = self.sees(question)
        self.types(answer)
        return shown

    def types(self, answer: str) -> None:
        self.asked += 1
        self._child.sendline(answer)

    def presses(self, control: str) -> None:
        self._child.sendcontrol(control)

    def kills(self) -> None:
        self._child.kill(9)
        self.ends()

    def ends(self) -> int:
        """Wait for the end, and return the exit code, or the signal's number as a negative one."""
        self._child.expect(pexpect.EOF)
        self.said += self._child.before
        self._child.close()
        return self._child.exitstatus if self._child.exitstatus is not None else -1

    @property
    def written(self) -> list[str]:
        """The lines as they were written, before the terminal broke any."""
        return [line.rpartition("\r")[2] for line in _CONTROL.sub("", self.said).split("\r\n")]

    @property
    def lines(self) -> list[str]:
        """What stood on the terminal in the end, line for line."""
        screen = pyte.Screen(self.columns, 600)
        pyte.Stream(screen).feed(self.said)
        return [line.rstrip() for line in screen.display]
