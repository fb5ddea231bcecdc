"""A queue through boto3: the same against the emulator and against its double."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.intake.sqs import Sqs
from tests.doubles.sqs import GONE, MemorySqs, refused


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow, and only for this

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["emulator", "double"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "double":
        yield MemorySqs()
        return
    client = boto3.client(
        "sqs",
        endpoint_url=request.getfixturevalue("server"),
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture
def url(client: Any, request: pytest.FixtureRequest) -> str:
    if isinstance(client, MemorySqs):
        return "https://sqs.eu-west-1.amazonaws.com/123456789012/q"
    name = f"q{abs(hash(request.node.name))}"
    made: str = client.create_queue(QueueName=name)["QueueUrl"]
    return made


def send(client: Any, url: str, *bodies: str, **attributes: str) -> None:
    said = {k: {"StringValue": v, "DataType": "String"} for k, v in attributes.items()}
    for body in bodies:
        client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=said)


async def test_an_empty_queue_is_empty(client: Any, url: str) -> None:
    assert await Sqs(client, url).receive(0, 60) == []


@pytest.mark.slow
async def test_what_was_received_is_hidden_and_deleted(client: Any, url: str) -> None:
    queue = Sqs(client, url)
    send(client, url, "one", "two")
    before = time.time()
    received = await queue.receive(0, 60)
    assert sorted(message.body for message in received) == ["one", "two"]
    assert {message.received for message in received} == {1}
    assert all(abs(message.sent_at - before) < 60 for message in received)
    assert await queue.receive(0, 60) == []
    await queue.hide([(message, 1) for message in received])
    assert await queue.delete(received) == 0
    await asyncio.sleep(1.1)
    assert await queue.receive(0, 1) == []


async def test_what_was_not_deleted_comes_again(client: Any, url: str) -> None:
    queue = Sqs(client, url)
    send(client, url, "one")
    (first,) = await queue.receive(0, 60)
    await queue.hide([(first, 0)])
    (second,) = await queue.receive(0, 60)
    assert (second.body, second.received) == ("one", 2)
    assert second.handle != first.handle


async def test_at_most_ten_come_at_once(client: Any, url: str) -> None:
    queue = Sqs(client, url)
    send(client, url, *(str(number) for number in range(12)))
    received = await queue.receive(0, 60)
    assert len(received) == 10
    assert await queue.delete(received) == 0
    assert len(await queue.receive(0, 60)) == 2


async def test_each_is_hidden_for_its_own_time(client: Any, url: str) -> None:
    queue = Sqs(client, url)
    send(client, url, "soon", "late")
    received = {message.body: message for message in await queue.receive(0, 60)}
    await queue.hide([(received["soon"], 0), (received["late"], 60)])
    assert [message.body for message in await queue.receive(0, 60)] == ["soon"]


async def test_dead_letters_may_say_what_went_wrong(client: Any, url: str) -> None:
    send(client, url, "one", ErrorCode="503", ErrorMessage="Service Unavailable")
    send(client, url, "two")
    received = {message.body: message.error for message in await Sqs(client, url).receive(0, 60)}
    assert received == {"one": "503 Service Unavailable", "two": ""}


@pytest.mark.parametrize(
    ("trouble", "error", "says"),
    [
        (refused(GONE, "ReceiveMessage"), MisconfiguredError, "no such queue"),
        (refused("AccessDenied", "ReceiveMessage"), MisconfiguredError, "may not receive"),
        (refused("RequestThrottled", "ReceiveMessage"), TryLaterError, "could not receive"),
        (EndpointConnectionError(endpoint_url="https://x"), TryLaterError, "not be reached"),
        (NoCredentialsError(), MisconfiguredError, "no AWS credentials"),
    ],
)
async def test_troubles_are_sentences(
    trouble: Exception, error: type[Exception], says: str
) -> None:
    client: Any = MemorySqs()
    client.incidents["receive_message"] = [trouble]
    with pytest.raises(error, match=says) as caught:
        await Sqs(client, "q").receive(0, 60)
    assert caught.value.temporary  # type: ignore[attr-defined]


async def test_the_emulator_too_knows_no_such_queue(server: str) -> None:
    client = boto3.client(
        "sqs",
        endpoint_url=server,
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(proxies={}),
    )
    with pytest.raises(MisconfiguredError, match="no such queue"):
        await Sqs(client, f"{server}/123456789012/nobody").receive(0, 60)
    client.close()


@pytest.mark.slow
async def test_half_a_character_is_replaced() -> None:
    client: Any = MemorySqs()
    client.send_message(QueueUrl="q", MessageBody='{"Message": "\ud800"}')
    (message,) = await Sqs(client, "q").receive(0, 60)
    assert message.body == '{"Message": "?"}'


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_long_poll() -> None:
    """Else a stop would take up to twenty seconds, as long as SQS keeps the question open."""
    gate, rescued = threading.Event(), threading.Event()

    class Slow(MemorySqs):
        def receive_message(self, **request: Any) -> dict[str, Any]:
            gate.wait(60)
            return super().receive_message(**request)

    async def stop_at_once(client: Any) -> None:
        receiving = asyncio.create_task(Sqs(client, "q").receive(20, 60))
        await asyncio.sleep(0.01)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)

    rescue = threading.Timer(20, lambda: (rescued.set(), gate.set()))
    rescue.start()
    asyncio.run(stop_at_once(Slow()))
    assert not rescued.is_set()
    rescue.cancel()
    gate.set()
