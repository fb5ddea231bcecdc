"""Our subscription at SNS, through boto3: subscribe, read, confirm, correct.

boto3 blocks, so each call has a thread of its own, which is left behind when we stop.
AWS: SNS API Reference; "Amazon SNS message delivery retries".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from postamt_sync.awaiting import in_own_thread
from postamt_sync.aws.error_codes import ErrorCause, cause_of
from postamt_sync.aws.errors import aws_call, meaning

if TYPE_CHECKING:
    from types_boto3_sns.client import SNSClient

CONFIRM = "confirm our subscription"
LONGEST_CALL = 45.0
"""Seconds for a whole call: an answer may never end."""

DELIVERY_POLICY = {
    "healthyRetryPolicy": {
        "numRetries": 35,
        "numNoDelayRetries": 0,
        "minDelayTarget": 20,
        "numMinDelayRetries": 5,
        "maxDelayTarget": 120,
        "numMaxDelayRetries": 20,
        "backoffFunction": "linear",
    }
}
"""Pauses of 5 times 20 s, then 10 rising to 120, then 20 of 120: 3,200 of SNS's 3,600 seconds."""

_T = TypeVar("_T")


class Sns:
    """The subscription of `url` to the topic, with a queue for dead letters ("": none).

    Every method raises PostamtError; all but TokenError are temporary.
    """

    def __init__(
        self, client: SNSClient, topic_arn: str, url: str, dead_letter_arn: str = ""
    ) -> None:
        self._client = client
        self._topic_arn = topic_arn
        self._url = url
        self._attributes = {"DeliveryPolicy": json.dumps(DELIVERY_POLICY)}
        if dead_letter_arn:
            redrive = {"deadLetterTargetArn": dead_letter_arn}
            self._attributes["RedrivePolicy"] = json.dumps(redrive)

    async def subscribe(self) -> str:
        """Return the ARN of the subscription, which is created if need be."""

        def subscribe(attributes: dict[str, str]) -> str:
            return self._client.subscribe(
                TopicArn=self._topic_arn,
                Protocol="https" if self._url.startswith("https:") else "http",
                Endpoint=self._url,
                Attributes=attributes,
                ReturnSubscriptionArn=True,
            )["SubscriptionArn"]

        def subscribe_or_find() -> str:
            try:
                return subscribe(self._attributes)
            except ClientError as error:
                if cause_of(error) is not ErrorCause.PARAMETER:
                    raise
                # Most likely it exists with other attributes. Whatever SNS minds, without them it
                # says whether they were the reason, and `correct` sets them later.
                return subscribe({})

        return await _call("subscribe the webhook", subscribe_or_find)

    async def attributes(self, arn: str) -> dict[str, str]:
        """Return SNS's attributes of an existing subscription."""
        return await _call(
            "read our subscription",
            lambda: self._client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"],
        )

    async def leads_here(self, arn: str) -> bool:
        """Tell whether a subscription is for our endpoint."""
        return (await self.attributes(arn)).get("Endpoint", self._url) == self._url

    async def is_there(self, arn: str) -> bool:
        """Tell whether a subscription exists."""

        def ask() -> bool:
            try:
                # Read, not just called: what answers may not be SNS.
                self._client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
            except ClientError as error:
                if cause_of(error) is ErrorCause.NO_TOPIC:
                    return False
                raise
            return True

        return await _call("read our subscription", ask)

    async def correct(self, arn: str, actual: Mapping[str, str]) -> None:
        """Set those of our attributes that differ."""
        for name, wanted in self._attributes.items():
            if _covers(_json(actual.get(name, "")), json.loads(wanted)):
                continue

            def correct(name: str = name, wanted: str = wanted) -> None:
                self._client.set_subscription_attributes(
                    SubscriptionArn=arn, AttributeName=name, AttributeValue=wanted
                )

            await _call(f"set the {name} of our subscription", correct)

    async def confirm(self, token: str) -> str:
        """Return the ARN of the subscription that this token confirms. Raises TokenError."""

        def confirm() -> str:
            try:
                return self._client.confirm_subscription(
                    TopicArn=self._topic_arn, Token=token, AuthenticateOnUnsubscribe="true"
                )["SubscriptionArn"]
            except ClientError as error:
                if cause_of(error) is not ErrorCause.PARAMETER:
                    raise
                # The topic is the message's, so it can only be the token.
                raise meaning(ErrorCause.CONFIRMATION_TOKEN, CONFIRM) from error

        return await _call(CONFIRM, confirm)


async def _call(what: str, call: Callable[[], _T]) -> _T:
    with aws_call(what):
        return await in_own_thread(call, LONGEST_CALL)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _covers(actual: Any, wanted: Any) -> bool:
    """Tell whether `actual` has all that `wanted` has. AWS adds members of its own."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            _covers(actual.get(name), value) for name, value in wanted.items()
        )
    return bool(actual == wanted)
