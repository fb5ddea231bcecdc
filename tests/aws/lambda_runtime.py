"""A zip as Lambda's runtime would run it: alone, with boto3 beside it and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RUNTIME = "python3.13"
BESIDE = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
"""What Lambda's runtime has: boto3 and what it needs."""

# As Lambda's runtime does it: the code first, the runtime's packages last, the handler by its name.
RUNNER = """
import importlib, json, sys
code, beside, handler = sys.argv[1:]
sys.path = [code, *sys.path, beside]
module, _, name = handler.rpartition(".")
handle = getattr(importlib.import_module(module), name)
for line in sys.stdin:
    answer = handle(json.loads(line), None)
    if answer is not None:
        print("answer " + json.dumps(answer))
foreign = {
    name.partition(".")[0] for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and not module.__file__.startswith(sys.base_prefix)
}
print(json.dumps([sys.version_info[:2], sorted(foreign - {"__main__"})]), file=sys.stderr)
"""

ENVIRONMENT = {**os.environ, "PYENV_VERSION": RUNTIME.removeprefix("python")}
"""Where several versions are kept by pyenv, its shim wants to be told which."""


def of_runtime() -> str | None:
    """Return the Python of Lambda's runtime, if it is here."""
    found = shutil.which(RUNTIME)
    if found is None:
        return None
    works = subprocess.run([found, "-V"], capture_output=True, env=ENVIRONMENT, check=False)
    return found if works.returncode == 0 else None


def lay_beside(folder: Path) -> Path:
    """Fill a folder with boto3 and what it needs, all of it pure Python, and nothing else."""
    folder.mkdir()
    for name in BESIDE:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


@dataclass
class Ran:
    """What a function did: its log, what it answered, its Python and its packages."""

    log: list[dict[str, Any]]
    answers: list[Any]
    version: list[int]
    packages: list[str]


@dataclass
class Function:
    """A function as it would run."""

    python: str
    code: Path
    beside: Path
    handler: str
    environment: dict[str, str]

    def run(self, *events: Any) -> Ran:
        """Run a new one for these events; raises CalledProcessError where it fails."""
        ended = subprocess.run(
            # -I and -S: no environment, no site packages, no current directory.
            [self.python, "-ISc", RUNNER, str(self.code), str(self.beside), self.handler],
            input="".join(json.dumps(event) + "\n" for event in events),
            capture_output=True,
            text=True,
            check=True,
            env=ENVIRONMENT | self.environment,
        )
        version, packages = json.loads(ended.stderr)
        lines = ended.stdout.splitlines()
        answers = [json.loads(one.partition(" ")[2]) for one in lines if one.startswith("answer ")]
        log = [json.loads(line) for line in lines if not line.startswith("answer ")]
        return Ran(log, answers, version, packages)
