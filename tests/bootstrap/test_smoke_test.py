"""A trial shows that what S3 keeps is announced, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.errors import PostamtError
from tests.doubles.account import Account, KilledError, changes, stack

STEPS = ("CreateQueue", "Subscribe", "PutObject")


@pytest.fixture(autouse=True)
def _applied(account: Account) -> None:
    account.have(stack())


def everything(account: Account) -> tuple[Any, ...]:
    client = account.client
    objects = client("s3").list_object_versions(Bucket=stack().bucket)
    return (
        client("sqs").list_queues()["QueueUrls"],
        [s["Endpoint"] for s in client("sns").list_subscriptions()["Subscriptions"]],
        [v["Key"] for v in objects.get("Versions", []) + objects.get("DeleteMarkers", [])],
    )


def test_an_object_is_announced_and_nothing_is_left(account: Account) -> None:
    before = everything(account)
    seconds = SmokeTest(stack(), account.aws()).announced_within()
    assert seconds is not None
    assert everything(account) == before
    assert changes(account.plan(stack())) == []


def test_what_is_not_announced_is_told_and_nothing_is_left(account: Account) -> None:
    before = everything(account)
    account.client("s3").put_bucket_notification_configuration(
        Bucket=stack().bucket, NotificationConfiguration={}
    )
    ticks = iter(range(0, 1000, 30))
    smoke_test = SmokeTest(stack(), account.aws(), clock=lambda: next(ticks))
    with no_waiting(account):
        assert smoke_test.announced_within(60) is None
    assert everything(account) == before


class Minutes:
    """A clock that a question of five seconds moves on."""

    def __init__(self, account: Account) -> None:
        self.now = 0.0
        self.puts: list[tuple[float, str]] = []
        self.questions = 0
        account.before = self._before

    def __call__(self) -> float:
        return self.now

    def _before(self, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "ReceiveMessage":
            self.now += 5
        if operation == "PutObject":
            self.puts.append((self.now, parameters["Key"]))


def test_after_silence_the_object_is_put_again(account: Account) -> None:
    before = everything(account)
    clock = Minutes(account)
    with no_waiting(account):
        assert SmokeTest(stack(), account.aws(), clock=clock).announced_within(90) is None
    times, keys = zip(*clock.puts, strict=True)
    assert times == (0, 30, 60)
    assert len(set(keys)) == 1
    assert everything(account) == before


def test_what_fell_on_deaf_ears_is_heard_the_second_time(account: Account) -> None:
    before = everything(account)
    clock = Minutes(account)
    deaf = account.refusing("sqs", "ReceiveMessage", "", status=200, times=6)
    with deaf:
        seconds = SmokeTest(stack(), account.aws(), clock=clock).announced_within(90)
    assert seconds == 35
    assert [at for at, _ in clock.puts] == [0, 30]
    assert everything(account) == before


def test_what_is_heard_at_once_is_put_once(account: Account) -> None:
    clock = Minutes(account)
    assert SmokeTest(stack(), account.aws(), clock=clock).announced_within(90) == 5
    assert len(clock.puts) == 1


def no_waiting(account: Account) -> Any:
    """Answer at once that there is nothing."""
    return account.refusing("sqs", "ReceiveMessage", "", status=200)


@pytest.mark.parametrize("step", STEPS)
def test_a_trial_that_is_refused_leaves_nothing(account: Account, step: str) -> None:
    before = everything(account)
    service = {"CreateQueue": "sqs", "Subscribe": "sns", "PutObject": "s3"}[step]
    refused = account.refusing(service, step, "InternalFailure")
    with refused, pytest.raises(PostamtError, match="InternalFailure"):
        SmokeTest(stack(), account.aws()).announced_within()
    assert everything(account) == before


def test_a_trial_that_cannot_listen_leaves_nothing(account: Account) -> None:
    before = everything(account)
    refused = account.refusing("sqs", "ReceiveMessage", "InternalFailure")
    with refused, pytest.raises(PostamtError):
        SmokeTest(stack(), account.aws()).announced_within()
    assert everything(account) == before


def test_a_trial_that_is_interrupted_leaves_nothing(account: Account) -> None:
    """Ctrl-C while the object is put: S3 has it, and we have no answer."""
    before = everything(account)
    account.kill_after = len(account.writes) + 1 + STEPS.index("PutObject")
    with pytest.raises(KilledError):
        SmokeTest(stack(), account.aws()).announced_within()
    assert everything(account) == before


def test_lists_that_lag_behind_leave_nothing(account: Account) -> None:
    """SNS may list a subscription, and SQS tell an address, some time after they were made."""
    before = everything(account)
    with (
        account.answering(
            "sns", "ListSubscriptionsByTopic", lambda answer: answer.update(Subscriptions=[])
        ),
        account.refusing("sqs", "GetQueueUrl", "AWS.SimpleQueueService.NonExistentQueue"),
    ):
        assert SmokeTest(stack(), account.aws()).announced_within() is not None
    assert everything(account) == before


def test_the_trial_is_no_mail(account: Account) -> None:
    keys: list[str] = []

    def before(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "PutObject":
            keys.append(parameters["Key"])

    account.before = before
    SmokeTest(stack(), account.aws()).announced_within()
    (key,) = keys
    assert key.startswith("incoming/")
    assert key.endswith("/AMAZON_SES_SETUP_NOTIFICATION")
