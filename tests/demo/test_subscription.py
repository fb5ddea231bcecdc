import json

from postamt_sync.demo.subscription import SnsSubscription

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"


def pauses(**retry: float) -> list[float]:
    attributes = {"DeliveryPolicy": json.dumps({"healthyRetryPolicy": retry})} if retry else {}
    return list(SnsSubscription(TOPIC, "http", "http://x", attributes).pauses())


def test_three_tries_twenty_seconds_apart_by_default() -> None:
    assert pauses() == [20, 20, 20]


def test_the_phases_follow_each_other() -> None:
    planned = pauses(
        numRetries=8,
        numNoDelayRetries=1,
        numMinDelayRetries=2,
        minDelayTarget=10,
        maxDelayTarget=30,
        numMaxDelayRetries=2,
    )
    assert planned == [0, 10, 10, 10, 20, 30, 30, 30]


def test_an_hour_is_the_end() -> None:
    planned = pauses(numRetries=100, minDelayTarget=600, maxDelayTarget=600)
    assert planned == [600] * 6
