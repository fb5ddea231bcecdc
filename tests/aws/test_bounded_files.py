# ruff: noqa: SLF001  (botocore has no public way to it)
"""What lies where botocore opens a file by itself is read or refused, and never waited for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.utils import JSONFileCache

from postamt_sync.aws.bounded_files import OddFileError, bound_files
from postamt_sync.aws.clients import ca_bundle, new_session, sqs_client
from postamt_sync.aws.errors import aws_call
from postamt_sync.errors import PostamtError
from tests.test_regular_file import PLANTS

REGION = "eu-west-1"
ODD = {kind: plant for kind, plant in PLANTS.items() if kind not in {"nothing", "link to nothing"}}
NOWHERE = "http://127.0.0.1:9"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
ROLE = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r", "AWS_ENDPOINT_URL_STS": NOWHERE}
FILES: dict[str, dict[str, str]] = {
    "AWS_CONFIG_FILE": KEYS,
    "AWS_SHARED_CREDENTIALS_FILE": {},
    "AWS_CA_BUNDLE": KEYS,
    "AWS_WEB_IDENTITY_TOKEN_FILE": ROLE,
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": NOWHERE},
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.setenv("HOME", str(tmp_path))


def call() -> None:
    with aws_call("ask the queue"):
        client = sqs_client(new_session(REGION), REGION)
        client.receive_message(QueueUrl="http://127.0.0.1:9/1/q")


def ended(function: Callable[[], object]) -> BaseException | None:
    """Return what it raises; it must not be waited for without an end."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits forever"
    return raised[0] if raised else None


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("variable", FILES)
def test_is_named_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, kind: str
) -> None:
    path = tmp_path / "odd"
    ODD[kind](path)
    for name, value in (FILES[variable] | {variable: str(path)}).items():
        monkeypatch.setenv(name, value)
    error = ended(call)
    assert isinstance(error, PostamtError)
    if (variable, kind) != ("AWS_CA_BUNDLE", "directory"):
        assert str(path) in error.problem


def test_a_token_of_a_sign_in(tmp_path: Path) -> None:
    sso: Any = SimpleNamespace(_token_cache=JSONFileCache(str(tmp_path)))
    bound_files(sso)
    (tmp_path / "good.json").write_text("{}")
    os.mkfifo(tmp_path / "odd.json")
    assert sso._token_cache["good"] == {}
    with pytest.raises(KeyError):
        sso._token_cache["none"]
    assert isinstance(ended(lambda: sso._token_cache["odd"]), OddFileError)


@pytest.mark.parametrize("content", ["", "[profile p]\nregion = eu-west-1\n"])
def test_files_as_they_should_be_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    real = tmp_path / "real"
    real.write_text(content)
    link = tmp_path / "link"  # as Kubernetes and dotfile managers place them
    link.symlink_to(real)
    monkeypatch.setenv("AWS_CONFIG_FILE", "~/link")
    assert new_session(REGION)._session.available_profiles == (["p"] if content else [])


def test_what_is_not_there_is_no_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for missing in (str(tmp_path / "nothing"), str(tmp_path / "nothing" / "below")):
        monkeypatch.setenv("AWS_CONFIG_FILE", missing)
        assert new_session(REGION)._session.full_config == {"profiles": {}}


def test_the_bundle_that_the_bucket_trusts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bundle.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    error = ended(lambda: ca_bundle(new_session(REGION)))
    assert isinstance(error, PostamtError)
    assert "bundle.pem" in error.problem
