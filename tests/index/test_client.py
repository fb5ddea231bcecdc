"""The index as the daemon asks it: an emulated DynamoDB, and one that throttles."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from postamt_sync.config import Settings
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.index.client import LEFT_OVER, MOST_AT_ONCE, Index, open_index
from postamt_sync.index.function import Indexer
from postamt_sync.mail.arrival import Envelope, Verdicts
from tests.doubles.moto import Moto, moto
from tests.doubles.notices import BUCKET, PREFIX, event, receipt
from tests.support import household

ENVELOPE = Envelope(
    ("anna@home.example", "bruno@home.example"),
    "bounce+abc@sender.example",
    Verdicts("PASS", "PASS", "GRAY", "PASS", "FAIL", "quarantine"),
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Moto]:
    with moto() as cloud:
        cloud.make_bucket(BUCKET)
        yield cloud


@pytest.fixture
def table(cloud: Moto) -> str:
    name = f"index-{uuid.uuid4().hex}"
    cloud.make_table(name)
    return name


@pytest.fixture
def indexer(cloud: Moto, table: str) -> Indexer:
    """The Lambda that fills the table."""
    return Indexer(
        table, BUCKET, PREFIX, cloud.client("dynamodb"), cloud.client("s3"), lambda *_: None
    )


class Client:
    """DynamoDB, which leaves as many keys unprocessed as the next of `leave` says."""

    def __init__(self, client: Any, leave: list[int] | None = None) -> None:
        self.client = client
        self.leave = leave or []
        self.asked: list[int] = []

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        ((table, request),) = RequestItems.items()
        keys = request["Keys"]
        self.asked.append(len(keys))
        count = min(self.leave.pop(0) if self.leave else 0, len(keys))
        left, done = keys[:count], keys[count:]
        answer: dict[str, Any] = {"Responses": {table: []}, "UnprocessedKeys": {}}
        if done:
            answer = self.client.batch_get_item(RequestItems={table: {**request, "Keys": done}})
        if left:
            answer["UnprocessedKeys"] = {table: {**request, "Keys": left}}
        return answer


def index_at(client: Any, table: str, pauses: list[float] | None = None) -> Index:
    async def sleep(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)

    return Index(client, table, PREFIX, sleep=sleep)


@pytest.mark.slow
async def test_it_tells_the_envelopes_that_the_lambda_wrote_down(
    cloud: Moto, table: str, indexer: Indexer
) -> None:
    indexer.take(receipt())
    indexer.take(event("incoming/only-stored", size=0))
    index = index_at(cloud.client("dynamodb"), table)
    key = PREFIX + "4k1s0vq2m8d7c6b5a4938271605fedcba9876543"
    known = await index.envelopes([key, "incoming/only-stored", "incoming/never-heard-of", key])
    assert known == {key: ENVELOPE}


async def test_what_cannot_be_a_mail_of_ours_is_not_asked(cloud: Moto, table: str) -> None:
    client = Client(cloud.client("dynamodb"))
    assert await index_at(client, table).envelopes(["incoming/", "another/x", ""]) == {}
    assert client.asked == []


async def test_an_item_of_another_key_is_not_believed(
    cloud: Moto, table: str, indexer: Indexer
) -> None:
    indexer.take(receipt(name="x"))
    index = Index(cloud.client("dynamodb"), table, "another/")
    assert await index.envelopes(["another/x"]) == {}


async def test_a_hundred_are_asked_at_a_time(cloud: Moto, table: str, indexer: Indexer) -> None:
    keys = [f"{PREFIX}{number:03}" for number in range(2 * MOST_AT_ONCE + 1)]
    for name in ("000", "099", "100", "200"):
        indexer.take(receipt(name=name))
    client = Client(cloud.client("dynamodb"))
    known = await index_at(client, table).envelopes(keys)
    assert client.asked == [100, 100, 1]
    assert sorted(known) == [f"{PREFIX}{n}" for n in ("000", "099", "100", "200")]


async def test_what_is_left_unprocessed_is_asked_again(
    cloud: Moto, table: str, indexer: Indexer
) -> None:
    for number in range(5):
        indexer.take(receipt(name=f"{number}"))
    client = Client(cloud.client("dynamodb"), [3, 3, 3, 1])
    pauses: list[float] = []
    known = await index_at(client, table, pauses).envelopes([f"{PREFIX}{n}" for n in range(5)])
    assert len(known) == 5
    assert client.asked == [5, 3, 3, 3, 1]
    assert pauses == [0.1, 0.2, 0.4, 0.1]


async def test_an_index_that_processes_nothing_is_given_up_for_now(cloud: Moto, table: str) -> None:
    client = Client(cloud.client("dynamodb"), [9] * 50)
    pauses: list[float] = []
    with pytest.raises(TryLaterError, match="only in part"):
        await index_at(client, table, pauses).envelopes([PREFIX + "a"])
    assert len(client.asked) == LEFT_OVER
    assert sum(pauses) < 15


async def test_a_table_that_is_not_there_is_a_matter_of_configuration(cloud: Moto) -> None:
    index = index_at(cloud.client("dynamodb"), "nobody")
    with pytest.raises(MisconfiguredError, match="no table nobody") as raised:
        await index.envelopes([PREFIX + "a"])
    assert raised.value.temporary


def refused(code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {}}
    return ClientError(answer, "BatchGetItem")


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (refused("AccessDeniedException"), MisconfiguredError),
        (refused("UnrecognizedClientException"), MisconfiguredError),
        (refused("ProvisionedThroughputExceededException"), TryLaterError),
        (refused("ThrottlingException"), TryLaterError),
        (refused("InternalServerError"), TryLaterError),
        (EndpointConnectionError(endpoint_url="https://x"), TryLaterError),
    ],
)
async def test_every_refusal_is_temporary_and_says_what_to_do(
    error: Exception, meant: type[PostamtError]
) -> None:
    class Refusing:
        def batch_get_item(self, **_: Any) -> Any:
            raise error

    with pytest.raises(meant) as raised:
        await index_at(Refusing(), "t").envelopes([PREFIX + "a"])
    assert raised.value.temporary
    assert raised.value.hint


def settings(tmp_path: Path, table: str) -> Settings:
    return household.settings(tmp_path, f'[index]\ntable = "{table}"')


def test_without_a_table_there_is_no_client(tmp_path: Path) -> None:
    assert open_index(settings(tmp_path, "")) is None


def test_boto3_s_own_settings_that_are_no_good_are_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(MisconfiguredError, match="nobody"):
        open_index(settings(tmp_path, "postamt"))


@pytest.mark.slow
def test_the_daemon_does_not_load_the_lambda_or_dynamodb_s_extras() -> None:
    listing = "import sys, postamt_sync.app.daemon; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in loaded if name.startswith("postamt_sync.bootstrap")]
    assert "boto3.dynamodb" not in loaded
    assert "postamt_sync.index.entry" not in loaded
    assert "postamt_sync.index.item" in loaded
