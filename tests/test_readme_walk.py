"""The README's walk from an empty AWS account, typed word for word at a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from postamt_sync.cli.bootstrap import BootstrapVerbs
from postamt_sync.config import load
from tests.doubles.moto import Moto, moto
from tests.support.documentation import documentation

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
WALK = next(block for block in BLOCKS if "bootstrap init" in block)
ANSWERS = {
    "Which domain gets mail": "example.org",
    "Which AWS region": "",
    "Whose mailboxes": "ann ben",
    "Where does the world reach this box": "https://home.example.org/sns",
    r"Make \d+ changes\? \[y/N\]": "y",
    r"shall AWS be asked\? \[y/N\]": "y",
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Moto]:
    with moto() as running:
        yield running


def type_(line: str, directory: Path, environment: dict[str, str]) -> str:
    """Type a line, answer what is asked, and return what the terminal showed."""
    child = pexpect.spawn(
        "bash", ["-c", line], cwd=directory, env=environment, dimensions=(50, 80), timeout=100
    )
    envelope_lookups = list(ANSWERS)
    said = ""
    while True:
        found = child.expect([*envelope_lookups, pexpect.EOF])
        said += child.before.decode()
        if found == len(envelope_lookups):
            break
        child.expect(":")
        child.sendline(ANSWERS[envelope_lookups[found]])
    child.close()
    assert child.exitstatus == 0, said
    return said


@pytest.mark.slow
def test_the_walk_leads_from_an_empty_account_to_a_stack(cloud: Moto, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "POSTAMT_"))}
    environment |= cloud.environment
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    said = {line: type_(line, tmp_path, environment) for line in WALK.splitlines()}
    assert len(said) == 5
    settings = load(tmp_path / "config.toml", {})
    assert [m.name for m in settings.mailboxes] == ["ann", "ben"]
    assert (tmp_path / "keys/credentials").stat().st_mode & 0o777 == 0o600
    apply = next(text for line, text in said.items() if " apply " in line)
    password = re.search(
        r"^password = (.*)$", (tmp_path / "keys/smtp-credentials").read_text(), re.MULTILINE
    )
    assert password
    assert apply.count(password[1]) == 1
    users = cloud.client("iam").list_users()["Users"]
    assert {user["UserName"] for user in users} == {"postamt-sync", "postamt-smtp"}


def test_every_verb_of_the_aws_side_that_it_names_exists() -> None:
    named = set(re.findall(r"(?:postamt-sync |`)bootstrap ([a-z-]+)", documentation()))
    assert named <= {verb.name for verb in BootstrapVerbs.verbs}
    assert {"init", "plan", "apply", "verify", "dns", "credentials", "destroy"} <= named
