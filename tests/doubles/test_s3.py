"""The double judged by boto3: what a stranger sees of it must be S3."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doubles.s3 import S3Double, session_for
from tests.doubles.s3_faults import refuse
from tests.doubles.s3_keys import ODD_KEYS


@pytest.fixture
def s3() -> Iterator[S3Double]:
    with S3Double.in_thread() as s3:
        yield s3


def client(s3: S3Double, secret_key: str | None = None) -> Any:
    session = session_for(s3.endpoint, s3.access_key, secret_key or s3.secret_key, s3.token)
    return session.client("s3", region_name=s3.region)


@pytest.mark.slow
def test_boto3_lists_and_gets_every_odd_key(s3: S3Double) -> None:
    s3.page_size = 5
    for key in ODD_KEYS:
        s3.put(key, key.encode())
    boto3 = client(s3)
    pages = boto3.get_paginator("list_objects_v2").paginate(Bucket="mail")
    rows = [row for page in pages for row in page["Contents"]]
    assert [row["Key"] for row in rows] == sorted(ODD_KEYS, key=str.encode)
    for row in rows:
        answer = boto3.get_object(Bucket="mail", Key=row["Key"], IfMatch=row["ETag"])
        assert answer["Body"].read() == row["Key"].encode()
    assert (s3.gets, s3.lists) == (len(ODD_KEYS), -(-len(ODD_KEYS) // 5))


def test_gives_a_range(s3: S3Double) -> None:
    s3.put("a", b"0123456789")
    answer = client(s3).get_object(Bucket="mail", Key="a", Range="bytes=2-4")
    assert (answer["Body"].read(), answer["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert client(s3).get_object(Bucket="mail", Key="a", Range="bytes=8-")["Body"].read() == b"89"


def code(call: Any, **parameters: str) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def test_refuses_as_s3_does(s3: S3Double) -> None:
    s3.put("old", b"x", storage_class="GLACIER")
    s3.put("new", b"x")
    get = client(s3).get_object
    assert code(get, Bucket="mail", Key="none") == "NoSuchKey"
    assert code(get, Bucket="other", Key="none") == "NoSuchBucket"
    assert code(get, Bucket="mail", Key="old") == "InvalidObjectState"
    assert code(get, Bucket="mail", Key="new", IfMatch='"other"') == "PreconditionFailed"
    assert code(client(s3, "wrong").get_object, Bucket="mail", Key="new") == "SignatureDoesNotMatch"
    s3.next(refuse(403, "AccessDenied"))
    assert code(get, Bucket="mail", Key="new") == "AccessDenied"
    s3.clock_ahead = 3600
    assert code(get, Bucket="mail", Key="new") == "RequestTimeTooSkewed"


@pytest.mark.slow
def test_another_process_finds_it_by_the_environment(s3: S3Double) -> None:
    s3.token = "session/token"
    s3.put("a", b"over there")
    script = (
        "import boto3; s3 = boto3.client('s3');"
        "print(s3.get_object(Bucket='mail', Key='a')['Body'].read())"
    )
    clean = {n: v for n, v in os.environ.items() if not n.startswith("AWS_")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env=clean | s3.environment(), capture_output=True, check=True, text=True
    )
    assert done.stdout == "b'over there'\n"
