"""AWS out of reach or out of order: one sentence and a remedy; the daemon keeps trying."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import refuse, reset, send
from tests.end_to_end.home import Home
from tests.end_to_end.letters import letter, put
from tests.support.ports import reserved_port

Cause = Callable[[S3Double], dict[str, str]]


def wrong_secret(_: S3Double) -> dict[str, str]:
    return {"AWS_SECRET_ACCESS_KEY": "wrong"}


def unknown_key(_: S3Double) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}


def no_credentials(_: S3Double) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


def may_not_list(s3: S3Double) -> dict[str, str]:
    s3.next(refuse(403, "AccessDenied"), times=9)
    return {}


def wrong_region(_: S3Double) -> dict[str, str]:
    return {"region": "us-east-1"}


def no_such_bucket(_: S3Double) -> dict[str, str]:
    return {"bucket": "nowhere"}


def no_network(_: S3Double) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{reserved_port()}"}


def clock_slow(s3: S3Double) -> dict[str, str]:
    s3.clock_ahead = 3 * 3600
    return {}


def clock_fast(s3: S3Double) -> dict[str, str]:
    s3.clock_ahead = -26 * 3600
    return {}


def login_page(s3: S3Double) -> dict[str, str]:
    s3.next(send(b"<html>Please log in</html>", status=403), times=9)
    return {}


CAUSES: list[tuple[Cause, int, str, str]] = [
    (wrong_secret, 78, "the secret key does not belong", "~/.aws/credentials"),
    (unknown_key, 78, "does not know our access key", "~/.aws/credentials"),
    (no_credentials, 78, "credentials", "~/.aws/credentials"),
    (may_not_list, 78, "may not list the bucket mail", "s3:ListBucket"),
    (wrong_region, 78, "not in our region but in eu-west-1", 'region = "eu-west-1"'),
    (no_such_bucket, 78, "no bucket nowhere", "bucket.name"),
    (no_network, 75, "The connection to 127.0.0.1", "network"),
    (clock_slow, 75, "about 3 hours slow", "timedatectl"),
    (clock_fast, 75, "about 26 hours fast", "timedatectl"),
    (login_page, 75, "that is not AWS answered", "proxy or login page"),
]


@pytest.mark.parametrize(("cause", "code", "problem", "remedy"), CAUSES)
def test_a_pass_says_what_is_wrong_and_what_to_do(
    home: Home, s3: S3Double, cause: Cause, code: int, problem: str, remedy: str
) -> None:
    put(s3, letter("one"))
    ended, said = home.sync(**cause(s3))
    assert ended == code
    assert problem in said["error"]
    assert remedy in said["hint"]
    for sentence in (said["error"], said["hint"]):
        assert "\n" not in sentence
    assert len(re.findall(r"\.(\s|$)", said["error"])) == 1
    counted = {k: v for k, v in said.items() if k not in {"error", "hint", "bytes", "seconds"}}
    assert counted.pop("listed", 0) == sum(counted.values())
    assert home.contents() == {}


def test_for_people_the_words_are_the_same(home: Home, s3: S3Double) -> None:
    done = home.do("sync", **no_such_bucket(s3))
    assert done.returncode == 78
    said = " ".join((done.stdout + done.stderr).split())
    assert "There is no bucket nowhere." in said
    assert "Correct bucket.name" in said
    assert "Traceback" not in said


def test_a_broken_configuration_is_one_object_too(home: Home) -> None:
    home.configure("[bucket]\nname = 1\n")
    code, said = home.sync()
    assert (code, set(said)) == (78, {"error", "hint", "problems"})


def test_a_bucket_that_fails_midway_keeps_what_came(home: Home, s3: S3Double) -> None:
    s3.page_size = 2
    letters = [letter(f"m{number}") for number in range(6)]
    put(s3, *letters)
    s3.next(lambda reply: reply, of="listings")
    s3.next(refuse(503, "SlowDown"), times=3, of="listings")
    code, said = home.sync()
    assert code == 75
    assert "busy" in said["error"]
    assert home.sync()[0] == 0
    assert home.contents() == Counter(copy for one in letters for copy in one.expected())


def test_the_daemon_outlives_every_cause_and_goes_on(home: Home, s3: S3Double) -> None:
    """Each trouble is named in log and `status`; when it is gone, a look finds the mail."""
    daemon = home.start()
    daemon.until("looked", source="reconcile")
    right_key, right_secret, right_region = s3.access_key, s3.secret_key, s3.region

    def spoil(**attributes: object) -> None:
        for name, value in attributes.items():
            setattr(s3, name, value)

    incidents: list[tuple[str, Callable[[], None]]] = [
        ("the secret key does not belong", lambda: spoil(secret_key="other")),
        ("does not know our access key", lambda: spoil(access_key="AKIAOTHER")),
        ("not in our region but in eu-north-1", lambda: spoil(region="eu-north-1")),
        ("There is no bucket mail", lambda: spoil(bucket="moved")),
        ("hours slow", lambda: spoil(clock_ahead=5 * 3600)),
        ("The connection to 127.0.0.1", lambda: s3.next(reset(), times=1000)),
    ]
    sent = []
    for number, (reason, begin) in enumerate(incidents):
        begin()
        sent.append(letter(f"m{number}"))
        put(s3, sent[-1])
        daemon.signal(signal.SIGHUP)
        daemon.wait(
            lambda said=reason: any(
                said in line["reason"] for line in daemon.events("could not look, will try again")
            ),
            reason,
        )
        daemon.wait(lambda said=reason: said in home.problems().get("poll", ""), f"noted: {reason}")
        [poll] = [source for source in home.status()["sources"] if source["name"] == "poll"]
        assert reason in poll["problem"]

        spoil(access_key=right_key, secret_key=right_secret, region=right_region)
        spoil(bucket="mail", clock_ahead=0.0)
        s3.heal()
        daemon.signal(signal.SIGHUP)
        daemon.wait(lambda: home.states() == {"delivered": len(sent)}, f"after {reason}")
    assert daemon.stop() == 0
    assert home.contents() == Counter(copy for one in sent for copy in one.expected())


def test_a_daemon_that_starts_without_aws_finds_it_by_itself(home: Home, s3: S3Double) -> None:
    """Nobody asks for a look here: it comes by itself, ten seconds after the first failed."""
    s3.bucket = "not yet made"
    put(s3, letter("one"))
    daemon = home.start()
    daemon.until("started")
    assert "There is no bucket mail" in daemon.until("could not look, will try again")["reason"]
    s3.bucket = "mail"
    daemon.until("delivered")
    assert daemon.stop() == 0
