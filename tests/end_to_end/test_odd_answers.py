"""Whatever answers in AWS's place, the daemon stays up, says so, and delivers by its other ways."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.doubles.odd_aws import SHAPES, OddAws, odd_aws
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home, Running
from tests.end_to_end.letters import letter, put
from tests.support.campaign import spread
from tests.support.ports import reserved_port

EVERYTHING = """
[webhook]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}/sns"
topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"

[queue]
url = "{url}/123456789012/arrivals"
long_poll = {long_poll}
dead_letter_url = "{url}/123456789012/dead"

[index]
table = "index"
"""
BY_WEBHOOK, BY_QUEUE, BY_INDEX = "webhook", "queue", "index"


@pytest.fixture
def aws() -> Iterator[OddAws]:
    with odd_aws() as aws:
        yield aws


def started(home: Home, aws: OddAws, long_poll: str = "false", **overrides: str) -> Running:
    home.configure(EVERYTHING.format(port=reserved_port(), url=aws.url, long_poll=long_poll))
    return home.start(**aws.environment("sns", "sqs", "dynamodb"), **overrides)


def troubled(home: Home) -> dict[str, str]:
    """Return the problems that `status` shows, by what has them."""
    return {s["name"]: s["problem"] for s in home.status()["sources"] if s["problem"]}


def until_troubled(home: Home, daemon: Running, *sources: str) -> None:
    daemon.until("started")  # before it there is no ledger that could show anything
    daemon.wait(lambda: set(sources) <= home.problems().keys(), f"trouble of {sources}")
    assert set(sources) <= troubled(home).keys()


def until_well(home: Home, daemon: Running, s3: S3Double) -> None:
    """Wait until nothing is wrong any more; new mail is what the index is asked about."""
    end = time.monotonic() + 90
    while found := home.problems():
        assert daemon.process.poll() is None, daemon.tail()
        assert time.monotonic() < end, (found, daemon.tail())
        put(s3, letter(f"m{time.monotonic_ns()}"))
        daemon.signal(signal.SIGHUP)
        time.sleep(1)
    assert troubled(home) == {}


@pytest.mark.parametrize("name", spread(SHAPES, 4))
def test_a_strange_answer_of_every_service_ends_nothing(
    home: Home, s3: S3Double, aws: OddAws, name: str
) -> None:
    aws.everywhere(SHAPES[name])
    put(s3, letter("one"))
    daemon = started(home, aws)
    daemon.until("delivered")
    until_troubled(home, daemon, BY_WEBHOOK)
    put(s3, letter("two"))
    daemon.signal(signal.SIGHUP)
    daemon.until("delivered", count=2)
    assert daemon.stop() == 0
    assert "ExceptionGroup" not in daemon.tail()


@pytest.mark.parametrize(
    ("name", "long_poll"),
    spread(
        [
            ("login page", "true"),
            ("login page", "false"),
            ("null", "true"),
            ("null", "false"),
            ("deep JSON", "true"),
            ("XML without what was asked", "false"),
            ("XML without what was asked", "true"),
            ("deep JSON", "false"),
        ],
        5,
    ),
)
def test_all_is_well_again_when_the_answers_are(
    home: Home, s3: S3Double, aws: OddAws, name: str, long_poll: str
) -> None:
    aws.everywhere(SHAPES[name])
    put(s3, letter("one"))
    daemon = started(home, aws, long_poll)
    daemon.until("delivered")
    until_troubled(home, daemon, BY_WEBHOOK, BY_INDEX)
    aws.heal()
    until_well(home, daemon, s3)
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    "prints", spread(["", "null", "[1]", "{", '{"Version": "1"}', "\\xff\\xfe"], 3)
)
def test_a_program_of_credentials_that_prints_anything(
    home: Home, s3: S3Double, aws: OddAws, prints: str
) -> None:
    program = home.root / "credentials"
    program.write_text(f"#!/bin/sh\nprintf '%b' '{prints}'\n")
    program.chmod(0o755)
    config = home.root / "aws-config"
    config.write_text(f"[default]\ncredential_process = {program}\n")
    put(s3, letter("one"))
    variables = {"AWS_CONFIG_FILE": str(config), "AWS_ACCESS_KEY_ID": ""}
    daemon = started(home, aws, **variables)
    until_troubled(home, daemon, "poll")
    program.write_text(
        '#!/bin/sh\necho \'{"Version": 1, '
        f'"AccessKeyId": "{s3.access_key}", "SecretAccessKey": "{s3.secret_key}"' + "}'\n"
    )
    daemon.signal(signal.SIGHUP)
    daemon.until("delivered")
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("shown", "holds"),
    spread(
        [
            ("AWS_SHARED_CREDENTIALS_FILE", b"no section\n"),
            ("AWS_SHARED_CREDENTIALS_FILE", b"\xff\xfe\x00["),
            ("AWS_SHARED_CREDENTIALS_FILE", b"[default]\naws_access_key_id = A\n"),
            ("AWS_CONFIG_FILE", b"[default\n"),
            ("AWS_CONFIG_FILE", b"[profile\nx = '\n"),
        ],
        3,
    ),
)
def test_damaged_files_of_credentials(
    home: Home, s3: S3Double, aws: OddAws, shown: str, holds: bytes
) -> None:
    file = home.root / "aws-file"
    file.write_bytes(holds)
    put(s3, letter("one"))
    daemon = started(home, aws, **{shown: str(file), "AWS_ACCESS_KEY_ID": ""})
    until_troubled(home, daemon, "poll")
    text = f"[default]\naws_access_key_id={s3.access_key}\naws_secret_access_key={s3.secret_key}\n"
    file.write_text(text)
    daemon.signal(signal.SIGHUP)
    daemon.until("delivered")
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    "name", spread(["login page", "null", "a list", "endless", "reset", "redirected"], 6)
)
def test_a_provider_of_credentials_that_answers_anything(
    home: Home, s3: S3Double, aws: OddAws, name: str
) -> None:
    aws.shapes = {"other": SHAPES[name]}
    put(s3, letter("one"))
    variables = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws.url}/credentials",
    }
    daemon = started(home, aws, **variables)
    until_troubled(home, daemon, "poll")
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    "name",
    spread(
        ["login page", "nothing", "null", "cut off XML", "another XML", "reset", "redirected"], 3
    ),
)
def test_a_pass_that_meets_a_strange_answer_is_to_be_tried_again(
    home: Home, aws: OddAws, name: str
) -> None:
    aws.everywhere(SHAPES[name])
    code, said = home.sync(AWS_ENDPOINT_URL=aws.url)
    assert (code, bool(said["error"])) == (75, True)
    assert "nforeseen" not in said["error"]


@pytest.mark.parametrize("prints", spread(["", "null", "[1]", "{", '{"Version": "1"}'], 3))
def test_a_pass_without_usable_credentials_is_for_a_person(
    home: Home, s3: S3Double, prints: str
) -> None:
    config = home.root / "aws-config"
    config.write_text(f"[default]\ncredential_process = printf '%s' '{prints}'\n")
    variables = {"AWS_CONFIG_FILE": str(config), "AWS_ACCESS_KEY_ID": ""}
    code, said = home.sync(**variables)
    assert (code, bool(said["error"])) == (78, True)


def replaced_by_a_directory(home: Home) -> None:
    home.config.unlink()
    home.config.mkdir()


def replaced_by_a_fifo(home: Home) -> None:
    home.config.unlink()
    os.mkfifo(home.config)


def replaced_by_a_binary(home: Home) -> None:
    home.config.write_bytes(bytes(range(256)) * 64)


def replaced_by_deep_toml(home: Home) -> None:
    home.config.write_text("a = " + "[" * 50_000)


@pytest.mark.parametrize(
    "damage",
    [replaced_by_a_directory, replaced_by_a_fifo, replaced_by_a_binary, replaced_by_deep_toml],
)
def test_a_configuration_that_becomes_anything(
    home: Home, s3: S3Double, damage: Callable[[Home], None]
) -> None:
    daemon = home.start()
    daemon.until("looked", source="reconcile")
    damage(home)
    daemon.signal(signal.SIGHUP)
    daemon.until("not reloaded, going on with the old")
    put(s3, letter("one"))
    if home.config.is_dir():
        home.config.rmdir()
    elif not home.config.is_file():
        home.config.unlink()
    home.configure()
    daemon.signal(signal.SIGHUP)
    daemon.until("reloaded")
    daemon.until("delivered")
    assert daemon.stop() == 0
