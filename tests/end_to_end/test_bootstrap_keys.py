"""Keys that someone has are kept, by the commands that a person types, from wherever typed."""

from __future__ import annotations

import os
import shutil
import signal
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from postamt_sync.aws.smtp import smtp_password
from tests.doubles.moto import REGION, Moto, moto
from tests.support import forked
from tests.support.http_server import served

USERS = ("postamt-sync", "postamt-smtp")


class IamGate(BaseHTTPRequestHandler):
    """Passes calls on to the emulator; `answered` is told of each before it is answered."""

    upstream = ""
    answered: Callable[[bytes, bytes], object] = staticmethod(lambda *_: None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept = {k: v for k, v in self.headers.items() if k in {"Authorization", "Content-Type"}}
        request = urllib.request.Request(self.upstream, body, kept)
        try:
            with urllib.request.urlopen(request) as answer:
                status, text = answer.status, answer.read()
        except HTTPError as error:
            status, text = error.code, error.read()
        type(self).answered(body, text)
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except ConnectionError:
            pass  # who asked was killed

    def log_message(self, *_: Any) -> None:
        pass


class Person:
    """Types commands at an account of their own."""

    def __init__(self, cloud: Moto, directory: Path, url: str) -> None:
        self.iam = cloud.client("iam")
        self.directory = directory
        self.config = directory / "config.toml"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "POSTAMT_"))}
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        home = {"HOME": str(directory / "home"), "COLUMNS": "400", "AWS_ENDPOINT_URL_IAM": url}
        kept.pop("XDG_CONFIG_HOME", None)
        self.environment = {**kept, **cloud.environment, **nowhere, **home}
        (directory / "elsewhere").mkdir()
        where = ("--region", REGION, "--output", str(self.config))
        self(
            "init", "--domain", "example.com", "--mailbox", "ann", "--no-port", *where, config=None
        )

    def __call__(
        self,
        *words: str,
        config: str | None = "",
        cwd: str = ".",
        code: int = 0,
        kill: bool = False,
    ) -> str:
        """Run it to its end and return what it said."""
        given = [] if config is None else ["--config", config or str(self.config)]
        output = self.directory / "said"
        output.unlink(missing_ok=True)
        typed = ["bootstrap", *words, *given]
        place = self.directory / cwd
        process = forked.start(typed, self.environment, place, (output, output))
        if kill:
            IamGate.answered = staticmethod(
                lambda asked, _: b"=CreateAccessKey" in asked and process.kill()
            )
        ended = process.wait(100)
        IamGate.answered = staticmethod(lambda *_: None)
        said = output.read_text()
        assert ended == (-signal.SIGKILL if kill else code), said
        return said

    def keys(self) -> dict[str, list[tuple[str, str]]]:
        """Return the users' keys and whether they work."""
        return {user: self.keys_of(user) for user in USERS}

    def keys_of(self, user: str) -> list[tuple[str, str]]:
        listed = self.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        return [(key["AccessKeyId"], key["Status"]) for key in listed]


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    gate = ThreadingHTTPServer(("127.0.0.1", 0), IamGate)
    with moto() as cloud, served(gate):
        IamGate.upstream = cloud.url
        yield Person(cloud, tmp_path, f"http://127.0.0.1:{gate.server_port}")


def test_a_key_stays_wherever_the_next_commands_are_typed(person: Person) -> None:
    secrets: list[str] = []
    IamGate.answered = staticmethod(lambda _, text: secrets.extend(secrets_in(text)))
    person("apply", "--yes", "--out", "keys")
    before = person.keys()
    assert [len(keys) for keys in before.values()] == [1, 1]
    files = {p.name: p.read_bytes() for p in (person.directory / "keys").iterdir()}

    assert person("plan").endswith("\nNothing to do.\n"), "where the keys are is remembered"
    said = person("plan", "--out", "other")
    assert said.endswith("\nNothing to do.\n")
    for name, user in zip(("credentials", "smtp-credentials"), USERS, strict=True):
        (key, _) = before[user][0]
        assert f"{key} was put into {person.directory}/keys/{name}." in said
    typed = f"credentials replace smtp --config {person.config} --out {person.directory}/other"
    assert typed in " ".join(said.split())

    assert "Nothing to do." in person("apply", "--yes", cwd="elsewhere")
    assert f"Put {person.directory}/keys/credentials onto the box" in person(
        "apply", "--yes", "--out", "other", cwd="elsewhere"
    )
    person("apply", "--yes", "--out", "keys")
    shown = person("credentials", "show", "--password", cwd="elsewhere")
    assert person.keys() == before
    assert files == {p.name: p.read_bytes() for p in (person.directory / "keys").iterdir()}
    assert any(f"password    {smtp_password(secret, REGION)}\n" in shown for secret in secrets)

    (person.directory / "config.toml.key-files").unlink()
    without = person("plan", "--json")
    assert '"changes": []' in without
    assert "was put into" not in without
    assert '"plan"' in person("verify", "--offline", "--json", code=3)
    shutil.rmtree(person.directory / "keys")
    assert "Nothing to do." in person("apply", "--yes", "--out", "keys")
    assert person.keys() == before


def secrets_in(text: bytes) -> list[str]:
    _, _, after = text.decode().partition("<SecretAccessKey>")
    return [after.partition("</SecretAccessKey>")[0]] if after else []


def test_killed_between_iam_and_the_file_then_replaced(person: Person) -> None:
    person("apply", "--yes", "--out", "keys", kill=True)
    ((stray, _),) = person.keys_of(USERS[0])
    assert f"{stray} was created by a run that was interrupted" in person(
        "plan", "--out", "keys", code=2
    )
    person("apply", "--yes", "--out", "keys")
    before = person.keys()
    assert [len(keys) for keys in before.values()] == [1, 1]
    assert stray not in {key for key, _ in before["postamt-sync"]}
    assert person("plan", "--out", "keys").endswith("\nNothing to do.\n")

    person("credentials", "replace", "smtp", "--out", "keys", code=64)  # nobody can be asked
    assert person.keys() == before
    said = person("credentials", "replace", "smtp", "--out", "keys", "--yes")
    ((old, _),) = before["postamt-smtp"]
    ((new, _),) = person.keys()["postamt-smtp"]
    assert f"The key {old} of postamt-smtp was never used" in said
    assert new != old
    held = (person.directory / "keys/smtp-credentials").read_text()
    assert f"username = {new}\n" in held
    assert held.strip().rpartition(" = ")[2] not in said
    assert person.keys()["postamt-sync"] == before["postamt-sync"]
    assert person("plan").endswith("\nNothing to do.\n")
    assert f"{person.directory}/keys/smtp-credentials" in person("destroy", "--yes")


def test_a_persons_files_are_not_written_over(person: Person) -> None:
    """The directory of the configuration is a likely one to name with --out."""
    configuration = person.config.read_bytes()
    foreign = "[default]\naws_access_key_id = AKIAFOREIGN\naws_secret_access_key = theirs\n"
    (person.directory / "credentials").write_text(foreign)
    said = person("apply", "--yes", "--out", ".", code=78)
    assert "holds another key, AKIAFOREIGN" in " ".join(said.split())
    assert (person.directory / "credentials").read_text() == foreign
    (person.directory / "credentials").unlink()
    person("apply", "--yes", "--out", ".")
    assert person.config.read_bytes() == configuration
