"""The only place that calls boto3 for the AWS side: it reads for the plan and writes for apply."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, wait_exponential, wait_random

from postamt_sync.aws.clients import BUILDING, ONCE, new_client
from postamt_sync.aws.error_answer import code_of, message_of
from postamt_sync.aws.error_codes import ErrorCause, cause_of
from postamt_sync.aws.errors import Asker, refusal
from postamt_sync.bootstrap.change import Call
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup

_ACTION = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")
_PREFIX = {"sesv2": "ses"}
_HOME = {"acm": "us-east-1"}
"""Services that are called in a fixed region, whatever the stack's: CloudFront only accepts
certificates from us-east-1."""
_API_GATEWAY = {"Get": "GET", "Create": "POST", "Update": "PATCH", "Delete": "DELETE"}
"""API Gateway names its permissions after HTTP methods."""
_S3_ACTIONS = {
    # S3's permissions are not named after its operations (Service Authorization Reference).
    "HeadBucket": "ListBucket",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteObjects": "DeleteObject",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
    "HeadObject": "GetObject",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
}


SES_SECONDS = 1.1
"""Between two SES calls: one a second is allowed, except for sending (SES Developer Guide,
"Quotas")."""

PATIENCE_SECONDS = 120.0
"""How long a new resource may take to be known everywhere; IAM rarely needs a minute."""

_SES = frozenset({"ses", "sesv2"})


def administrator_refusal(service: str, error: Exception) -> PostamtError:
    """Return what to tell an administrator whose call to `service` (boto3's name) failed."""
    action = f"AWS ({service})"
    if isinstance(error, ClientError):
        said = printable(without_markup(message_of(error)))
        action = _action(service, error.operation_name, said)
    return refusal(action, error, asker=Asker.ADMINISTRATOR)


def _action(service: str, operation: str, said: str) -> str:
    named = _ACTION.search(said)
    if named:
        return named[1]
    if service == "s3":
        operation = _S3_ACTIONS.get(operation, operation)
    if service == "apigatewayv2":
        verb = next((v for word, v in _API_GATEWAY.items() if operation.startswith(word)), "POST")
        return f"apigateway:{verb}"
    operation = operation.removesuffix("WithTags")
    return f"{_PREFIX.get(service, service)}:{operation}"


class ChangedMeanwhileError(TryLaterError):
    """A write was refused because what it would replace has changed since it was planned."""


class AwsClient:
    """One account in one region, with admin credentials from boto3's own chain.

    Safe to use from several threads; each client is created once, when first needed. Every method
    raises PostamtError if AWS refuses, naming the missing IAM action where there is one.
    """

    def __init__(
        self,
        session: boto3.Session,
        region: str,
        *,
        endpoint: Callable[[str], str | None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        config: Config = BUILDING,
    ) -> None:
        """`endpoint` returns the URL to use for a service, None for boto3's own; a URL is reached
        without a proxy. `sleep` and `clock` take and return seconds."""
        self._config = config
        self._making = threading.Lock()
        self._pacing = threading.Lock()
        self.region = region
        self._endpoint = endpoint
        self._session = session
        self._sleep = sleep
        self._clock = clock
        self._clients: dict[tuple[str, bool], Any] = {}
        self._account = ""
        self._ses_next = 0.0

    @property
    def account(self) -> str:
        """The account that the credentials belong to, twelve digits."""
        if not self._account:
            identity = self.read("sts", "get_caller_identity")
            assert identity is not None
            self._account = str(identity["Account"])
        return self._account

    def queue_url(self, stack: Stack, queue: str) -> str:
        """Return the URL that a queue has or will have, at AWS or at an emulator."""
        endpoint = str(self.client("sqs").meta.endpoint_url)
        if _is_emulator(endpoint):
            return f"{endpoint.rstrip('/')}/{stack.account}/{queue}"
        return stack.queue_url(queue)

    def read(
        self, service: str, operation: str, /, *, missing: tuple[str, ...] = (), **parameters: Any
    ) -> dict[str, Any] | None:
        """Call `operation` and return the answer; None if AWS gives an error code in `missing`."""
        try:
            return self._call(service, operation, parameters)
        except ClientError as error:
            if _says(error, missing):
                return None
            raise administrator_refusal(service, error) from error

    def pages(
        self,
        service: str,
        operation: str,
        members: str,
        /,
        *,
        missing: tuple[str, ...] = (),
        **parameters: Any,
    ) -> list[Any]:
        """Return `members` of all pages; an empty list if AWS gives an error code in `missing`.

        `members` may be a dotted path: `DistributionList.Items`.
        """
        return list(self._each(service, operation, members, missing, parameters))

    def write(self, wanted: Call) -> None:
        """Carry out one call. On return AWS has accepted it, and `on_response` has seen the answer.

        Raises ChangedMeanwhileError, with nothing written, if the call's guard finds a state other
        than the planned one.
        """
        guard = wanted.guard
        # AWS does not return lists in a stable order.
        if guard is not None and not same(guard.read(), guard.seen):
            raise ChangedMeanwhileError(
                f"{guard.what[:1].upper()}{guard.what[1:]} was changed by someone else meanwhile.",
                "Nothing was written to it. Look again with: postamt-sync bootstrap plan",
            )
        patient = Retrying(
            retry=retry_if_exception(lambda error: _passes(error, wanted)),
            stop=lambda state: state.idle_for >= PATIENCE_SECONDS,
            wait=wait_exponential(multiplier=2, max=15) + wait_random(0, 1),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer = patient(self._ask, wanted)
        except ClientError as error:
            raise administrator_refusal(wanted.service, error) from error
        if wanted.on_response is not None:
            wanted.on_response(answer)

    def _each(
        self,
        service: str,
        operation: str,
        members: str,
        missing: tuple[str, ...],
        parameters: Mapping[str, Any],
    ) -> Iterator[Any]:
        pages = self.client(service).get_paginator(operation)
        complete = self._complete(service, operation, parameters)
        try:
            for page in pages.paginate(**complete):
                yield from _member(page, members) or ()
        except ClientError as error:
            if not _says(error, missing):
                raise administrator_refusal(service, error) from error
        except Exception as error:  # anything botocore's parsers raise on an answer not from AWS
            raise administrator_refusal(service, error) from error

    def _ask(self, wanted: Call) -> dict[str, Any]:
        late = wanted.late() if wanted.late is not None else {}
        parameters = {**wanted.parameters, **late}
        return self._call(wanted.service, wanted.operation, parameters, once=wanted.once)

    def _call(
        self, service: str, operation: str, parameters: Mapping[str, Any], *, once: bool = False
    ) -> dict[str, Any]:
        method = getattr(self.client(service, once=once), operation)
        complete = self._complete(service, operation, parameters)
        try:
            answer: dict[str, Any] = method(**complete)
        except ClientError:
            raise  # the caller knows what its codes mean
        except Exception as error:  # anything botocore's parsers raise on an answer not from AWS
            raise administrator_refusal(service, error) from error
        return answer

    def _complete(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Add the expected bucket owner where S3 accepts it: the bucket may be someone else's."""
        if service != "s3":
            return dict(parameters)
        client = self.client("s3")
        shape = client.meta.service_model.operation_model(
            client.meta.method_to_api_mapping[operation]
        ).input_shape
        if "ExpectedBucketOwner" in shape.members:
            return {"ExpectedBucketOwner": self.account, **parameters}
        return dict(parameters)

    def pause(self, seconds: float) -> None:
        """Wait for AWS to finish something that takes time."""
        self._sleep(seconds)

    def client(self, service: str, *, once: bool = False) -> Any:
        """Return the boto3 client, for what this class has no method for; with `once`, one that
        never retries."""
        with self._making:
            if (service, once) not in self._clients:
                self._clients[service, once] = self._made(service, once=once)
        return self._clients[service, once]

    def _made(self, service: str, *, once: bool) -> Any:
        config = self._config.merge(ONCE) if once else self._config
        region = _HOME.get(service, self.region)
        made = new_client(self._session, service, region, config, self._endpoint(service))
        if service in _SES and not _is_emulator(made.meta.endpoint_url):
            made.meta.events.register(f"before-send.{service}", self._pace)
        return made

    def _pace(self, **_: Any) -> None:
        """Stay within SES's rate limit, which its two APIs share."""
        with self._pacing:
            pause = self._ses_next - self._clock()
            if pause > 0:
                self._sleep(pause)
            self._ses_next = self._clock() + SES_SECONDS


def _member(page: Mapping[str, Any], path: str) -> Any:
    found: Any = page
    for name in path.split("."):
        found = found.get(name) or {}
    return found


def _passes(error: BaseException, wanted: Call) -> bool:
    return isinstance(error, ClientError) and _says(error, wanted.retry_on)


def _says(error: ClientError, codes: Collection[str]) -> bool:
    """Whether AWS answered with one of these codes, rather than an emulator that lacks the call.

    Some emulators use the same code for an unknown operation as for a missing resource.
    """
    return code_of(error) in codes and cause_of(error) is not ErrorCause.UNSUPPORTED


def _is_emulator(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
