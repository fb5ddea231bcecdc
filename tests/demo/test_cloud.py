import asyncio
import json
import os
import sys

import pytest
from botocore.exceptions import ClientError

from postamt_sync.demo.cloud import Cloud
from tests.doubles.emulator import LoadedEmulator

CHILD = """
import boto3, json
topics = boto3.client("sns").list_topics()["Topics"]
buckets = boto3.client("s3").list_buckets()["Buckets"]
print(json.dumps([topics[0]["TopicArn"], buckets[0]["Name"]]))
"""


async def test_a_child_process_finds_the_cloud_by_its_environment() -> None:
    base = {**os.environ, "AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "x", "HTTP_PROXY": "http://x"}
    before = dict(os.environ)
    async with Cloud() as cloud:
        await cloud.create()
        environment = cloud.environment(base)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CHILD), env=environment, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
        assert json.loads(out) == [cloud.topic_arn, cloud.bucket]
    assert "AWS_PROFILE" not in environment
    assert "AWS_SESSION_TOKEN" not in environment
    assert dict(os.environ) == before


async def test_the_persons_own_aws_setup_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with Cloud() as cloud:
        await cloud.create()


async def test_queues_get_signed_envelopes_and_only_our_subscriptions_are_listed() -> None:
    async with Cloud(emulator=LoadedEmulator()) as cloud:
        await cloud.create()

        def act() -> tuple[list[str], dict[str, str]]:
            queue = cloud.sqs_client.create_queue(QueueName="arrivals")["QueueUrl"]
            arn = "arn:aws:sqs:eu-west-1:123456789012:arrivals"
            cloud.sns_client.subscribe(TopicArn=cloud.topic_arn, Protocol="sqs", Endpoint=arn)
            cloud.sns.mishaps.lose("m")  # which is about HTTP alone
            cloud.sns_client.publish(TopicArn=cloud.topic_arn, Message="m", Subject="s")
            got = cloud.sqs_client.receive_message(QueueUrl=queue, WaitTimeSeconds=10)
            every = cloud.sns_client.list_subscriptions_by_topic(TopicArn=cloud.topic_arn)
            listed = [item["Endpoint"] for item in every["Subscriptions"]]
            queues = [endpoint for endpoint in listed if ":sqs:" in endpoint]
            assert sorted(queues) == [arn, cloud.stack.queue_arn(cloud.stack.queue)]
            return listed, json.loads(got["Messages"][0]["Body"])

        _, envelope = await asyncio.to_thread(act)
        assert envelope["Subject"] == "s"
        assert envelope["SigningCertURL"] == cloud.sns.url + cloud.sns.signer.path
        fields = {k: v for k, v in envelope.items() if k not in ("Signature", "SigningCertURL")}
        assert envelope["Signature"] == cloud.sns.signer.sign(fields, "2")


async def test_what_an_endpoint_refuses_goes_to_the_dead_letters() -> None:
    async with Cloud(speed=1e6, emulator=LoadedEmulator()) as cloud:
        await cloud.create()

        def prepare() -> str:
            queue = cloud.sqs_client.create_queue(QueueName="dead")["QueueUrl"]
            redrive = {"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dead"}
            cloud.sns_client.subscribe(
                TopicArn=cloud.topic_arn,
                Protocol="http",
                Endpoint="http://127.0.0.1:9/",
                Attributes={"RedrivePolicy": json.dumps(redrive)},
            )
            return queue

        queue = await asyncio.to_thread(prepare)
        for subscription in cloud.sns.subscriptions.values():
            subscription.pending = False
        cloud.sns.publish(cloud.topic_arn, "unwanted")
        await cloud.sns.settled()
        got = await asyncio.to_thread(cloud.sqs_client.receive_message, QueueUrl=queue)
        assert json.loads(got["Messages"][0]["Body"])["Message"] == "unwanted"


async def test_the_topics_signature_version_is_shown() -> None:
    async with Cloud(emulator=LoadedEmulator()) as cloud:
        await cloud.create()
        answer = await asyncio.to_thread(
            cloud.sns_client.get_topic_attributes, TopicArn=cloud.topic_arn
        )
        assert answer["Attributes"]["SignatureVersion"] == "2"


async def test_an_unknown_topic_has_no_subscribers() -> None:
    async with Cloud(emulator=LoadedEmulator()) as cloud:
        with pytest.raises(ClientError, match="Topic does not exist"):
            await asyncio.to_thread(
                cloud.sns_client.subscribe,
                TopicArn=cloud.topic_arn,
                Protocol="http",
                Endpoint="http://127.0.0.1:9/",
            )


async def test_the_emulator_ends_with_its_parent() -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "postamt_sync.demo.emulator"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert (await child.stdout.readline()).startswith(b"http://127.0.0.1:")
    child.stdin.close()
    assert await child.wait() == 0
