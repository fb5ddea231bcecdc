"""The demo's AWS: the emulator, the small SNS, and what bootstrap would build, all on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
import botocore.config
import botocore.session

from postamt_sync.demo.emulator import Emulator
from postamt_sync.demo.sns import SmallSns

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient

REGION: Final = "eu-west-1"
ACCOUNT = "123456789012"
"""moto's own."""
BUCKET = f"postamt-demo-{ACCOUNT}-{REGION}-an"
TOPIC = "postamt-demo"
PREFIX = "incoming/"
RECENT_PREFIX = "recent/"

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIADEMODEMODEMODEMO",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    # Whatever the person's own AWS set-up is, the demo must neither read it nor trip over it.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Cloud:
    """An AWS account with a bucket and a topic while the context is open.

    `speed` divides the pauses between SNS's tries.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.bucket = BUCKET
        self.topic_arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{TOPIC}"
        self._speed = speed
        self._emulator = Emulator()
        self._stack = AsyncExitStack()
        self._session = _session()
        self.sns: SmallSns

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._emulator)
            self.sns = SmallSns(self._emulator.url, self._speed)
            await stack.enter_async_context(self.sns)
            self.s3_client: S3Client = self._client("s3", self._emulator.url)
            self.sns_client: SNSClient = self._client("sns", self.sns.url)
            self.sqs_client: SQSClient = self._client("sqs", self._emulator.url)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where all of AWS but SNS is; SNS is at `sns.url`."""
        return self._emulator.url

    async def create(self) -> None:
        """Make bucket and topic, and let S3 announce what is put under `incoming/`."""
        await asyncio.to_thread(self._create)

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return `base` for a child process, its AWS settings replaced by those of this cloud."""
        kept = {k: v for k, v in base.items() if not k.startswith("AWS_")}
        loopback = ",".join(filter(None, (base.get("NO_PROXY"), "127.0.0.1")))
        return {
            **kept,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SNS": self.sns.url,
            "NO_PROXY": loopback,
            "no_proxy": loopback,
        }

    def _create(self) -> None:
        self.s3_client.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        self.sns_client.create_topic(Name=TOPIC, Attributes={"SignatureVersion": "2"})
        self.s3_client.put_bucket_notification_configuration(
            Bucket=self.bucket,
            NotificationConfiguration={
                "TopicConfigurations": [
                    {
                        "Id": "postamt",
                        "TopicArn": self.topic_arn,
                        "Events": ["s3:ObjectCreated:*"],
                        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": PREFIX}]}},
                    }
                ]
            },
        )

    def _client(self, service: str, url: str) -> Any:
        config = botocore.config.Config(
            proxies={},
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            max_pool_connections=32,
        )
        return self._session.client(service, endpoint_url=url, config=config)  # type: ignore[call-overload]


def _session() -> boto3.Session:
    """Make a session that knows nothing of the person's own profiles and keys."""
    ignored: dict[str, tuple[str | None, str | None, str | None, Any]] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
        botocore_session=botocore.session.Session(session_vars=ignored),
    )
