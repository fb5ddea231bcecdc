"""The demo's AWS, all on loopback: the emulator, the small SNS, and what bootstrap builds there."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import boto3
import botocore.config
import botocore.session

from postamt_sync.aws.service_models import share_models
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.key_file import SYNC_CREDENTIALS
from postamt_sync.bootstrap.plan import carry_out, plan
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import usual_bucket
from postamt_sync.bootstrap.stack_resources import resources
from postamt_sync.demo.emulator import Emulator
from postamt_sync.demo.sns import SmallSns
from postamt_sync.index.function import Indexer
from postamt_sync.mail.handed_routes import HandedRoutes

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_ses import SESClient
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient

REGION: Final = "eu-west-1"
ACCOUNT = "123456789012"
"""moto's own."""
NAME = "postamt-demo"
DOMAIN = "example.com"
PREFIX = "incoming/"
RECENT_PREFIX = "recent/"

OUTGOING = "/moto-api/ses/outgoing.json"
"""Where the emulator lists the mails that SES was given to send (`gaps/outgoing.py`)."""

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIADEMODEMODEMODEMO",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    # The demo must neither read the user's own AWS settings nor trip over them.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class SentBySes:
    """A mail that SES was given to send, and its recipients."""

    recipients: tuple[str, ...]
    raw: str


class Cloud:
    """An AWS account with a stack in it while the context is open.

    `public_url` is where the daemon's webhook will be; `speed` divides the pauses between SNS's
    attempts.
    """

    def __init__(
        self,
        speed: float = 1.0,
        public_url: str = "",
        handed: HandedRoutes | None = None,
        emulator: Emulator | None = None,
    ) -> None:
        """`handed`: who gets what, for the webmail's lists."""
        self.stack = Stack(
            name=NAME,
            account=ACCOUNT,
            region=REGION,
            bucket=usual_bucket(NAME, ACCOUNT, REGION),
            domains=(DOMAIN,),
            prefix=PREFIX,
            recent_prefix=RECENT_PREFIX,
            public_url=public_url,
            handed=handed,
        )
        self.bucket = self.stack.bucket
        self.topic_arn = self.stack.topic_arn
        self.changes = 0
        """The number of changes that bootstrap made."""
        self._speed = speed
        self._emulator = emulator or Emulator()
        self._stack = AsyncExitStack()
        self._session = _session()
        self._keys = Path()
        self.sns: SmallSns

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._emulator)
            self.sns = SmallSns(self._emulator.url, self._speed)
            await stack.enter_async_context(self.sns)
            self.s3_client: S3Client = self._client("s3", self._emulator.url)
            self.sns_client: SNSClient = self._client("sns", self.sns.url)
            self.sqs_client: SQSClient = self._client("sqs", self._emulator.url)
            self.ses_client: SESClient = self._client("ses", self._emulator.url)
            self._keys = Path(stack.enter_context(TemporaryDirectory(prefix="postamt-keys-")))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where all of AWS but SNS is; SNS is at `sns.url`."""
        return self._emulator.url

    @property
    def queue_urls(self) -> dict[str, str]:
        """The URLs of the stack's queues, by name."""
        queues = (self.stack.queue, self.stack.dead_letter_queue)
        return {queue: f"{self.url}/{ACCOUNT}/{queue}" for queue in queues}

    async def create(self) -> None:
        """Build the stack as `bootstrap apply` does."""
        await asyncio.to_thread(self._create)

    def environment(
        self, base: Mapping[str, str], *, administrator: bool = False
    ) -> dict[str, str]:
        """Return `base` for a child process, its AWS settings replaced by this cloud's."""
        kept = {k: v for k, v in base.items() if not k.startswith("AWS_")}
        loopback = ",".join(filter(None, (base.get("NO_PROXY"), "127.0.0.1")))
        credentials = dict(CREDENTIALS)
        key_file = self._keys / SYNC_CREDENTIALS
        if (
            key_file.exists() and not administrator
        ):  # the daemon may do what the stack's own user may
            del credentials["AWS_ACCESS_KEY_ID"], credentials["AWS_SECRET_ACCESS_KEY"]
            credentials["AWS_SHARED_CREDENTIALS_FILE"] = str(key_file)
        return {
            **kept,
            **credentials,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SNS": self.sns.url,
            "NO_PROXY": loopback,
            "no_proxy": loopback,
        }

    async def sent_by_ses(self) -> list[SentBySes]:
        """Return the mails that SES was given to send."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}{OUTGOING}") as answer,
        ):
            answer.raise_for_status()
            taken = json.loads(await answer.read())
        return [
            SentBySes(tuple({parseaddr(each)[1] for each in mail["recipients"]}), mail["raw"])
            for mail in taken
        ]

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Return the contents of the objects below a prefix, by key. Blocking."""
        listed = self.s3_client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return {
            item["Key"]: self.s3_client.get_object(Bucket=self.bucket, Key=item["Key"])[
                "Body"
            ].read()
            for item in listed.get("Contents", [])
        }

    def _create(self) -> None:
        aws = AwsClient(self._session, REGION, endpoint=self._endpoint)
        wanted = plan(resources(self.stack, aws, self._keys))
        carry_out(wanted, aws, lambda *_: None)
        self.changes = len(wanted.changes)
        self.sns.functions.append(self._function())

    def _function(self) -> Callable[[str], None]:
        """Return what does the work of the stack's function, one notification at a time: the
        emulator does not isolate its transactions from other readers and writers."""
        indexer, one_at_a_time = self._indexer(), threading.Lock()

        def take(message: str) -> None:
            with one_at_a_time:
                indexer.take(message)

        return take

    def _indexer(self) -> Indexer:
        """Return what the stack's function runs; the emulator runs no functions."""
        dynamodb = self._client("dynamodb", self.url)
        stack = self.stack
        return Indexer(
            *(stack.table, stack.bucket, stack.prefix, dynamodb, self.s3_client),
            say=lambda *_: None,
            lists=stack.lists if stack.handed else "",
        )

    def _endpoint(self, service: str) -> str:
        return self.sns.url if service == "sns" else self.url

    def _client(self, service: str, url: str) -> Any:
        config = botocore.config.Config(
            proxies={},
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            max_pool_connections=32,
        )
        return self._session.client(service, endpoint_url=url, config=config)  # type: ignore[call-overload]


def _session() -> boto3.Session:
    """Make a session that ignores the user's own profiles and keys."""
    ignored: dict[str, tuple[str | None, str | None, str | None, Any]] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    core = botocore.session.Session(session_vars=ignored)
    share_models(core)
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
        botocore_session=core,
    )
