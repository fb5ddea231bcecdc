"""The sealing function against an emulated account."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from postamt_sync.mail.seal_table import written_time
from postamt_sync.mail.sealed_name import parse
from postamt_sync.seal.function import cleared, forgetting, owner_keys, seal_all
from postamt_sync.seal.one_seal import Outcome, Sealed, Sealer
from postamt_sync.seal.owner_keys import KeyRefusedError, encryption_fingerprints
from postamt_sync.seal.records import SealRecords, SealState
from postamt_sync.seal.sealer_bucket import SealerBucket
from tests.seal.conftest import Household

BUCKET, TABLE = "mail-of-ours", "postamt-seal"
ENVIRON = {
    "BUCKET": BUCKET,
    "PREFIX": "incoming/",
    "SEALED_PREFIX": "sealed/",
    "TABLE": TABLE,
    "AFTER_DAYS": "0",
    "INDEX_FUNCTION": "postamt-index",
}


class IndexFunction:
    """Lambda, which has one function."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.error = ""
        self.says: Any = {"sealed": 1}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "postamt-index"
        self.events.append(json.loads(Payload))
        failed = {"FunctionError": self.error} if self.error else {}
        return {"Payload": io.BytesIO(json.dumps(self.says).encode()), **failed}


@dataclass
class Account:
    s3: Any
    dynamodb: Any
    index: IndexFunction
    keys: Path
    work: Path
    index_function: str = "postamt-index"

    def client(self, service: str) -> Any:
        return {"s3": self.s3, "dynamodb": self.dynamodb, "lambda": self.index}[service]

    @property
    def records(self) -> SealRecords:
        return SealRecords(self.dynamodb, TABLE)

    def run(self) -> SealState:
        environ = {**ENVIRON, "INDEX_FUNCTION": self.index_function}
        return seal_all(environ, self.keys, self.work, self.client, lambda: 900.0)

    def settle(self) -> None:
        soon = datetime.now(UTC) + timedelta(minutes=10)
        values = {":a": {"S": written_time(soon)}, ":b": {"S": "mail-of-ours/incoming/"}}
        self.dynamodb.update_item(
            TableName=TABLE,
            Key={"id": {"S": "watermark"}},
            UpdateExpression="SET settled_before = :a, written_at = :a, mail_place = :b",
            ExpressionAttributeValues=values,
        )

    def sealed(self) -> dict[str, Any]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="sealed/").get("Contents", [])
        return {each["Key"]: self.s3.get_object(Bucket=BUCKET, Key=each["Key"]) for each in found}

    def tags(self, key: str, version: str) -> Any:
        answer = self.s3.get_object_tagging(Bucket=BUCKET, Key=key, VersionId=version)
        return answer["TagSet"]


@pytest.fixture
def account(household: Household, tmp_path: Path, monkeypatch: Any) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    keys = tmp_path / "owner_keys"
    keys.mkdir()
    for number, key in enumerate(household.keys):
        (keys / f"{number}.pgp").write_bytes(key.certificate)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Account(s3, dynamodb, IndexFunction(), keys, tmp_path / "work")


def test_from_the_bucket_to_the_sealed_object_and_the_tag(
    account: Account, household: Household
) -> None:
    bodies = {"incoming/a": b"first", "incoming/Grüße b%2F": b"\r\nsecond\xff", "recent/a": b"no"}
    stored = {
        key: account.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
        for key, body in bodies.items()
    }
    assert account.run().refused == "no-watermark"
    account.settle()
    assert account.run().refused == "unproved"
    assert account.sealed() == {}
    account.records.prove(encryption_fingerprints(household.keys), datetime.now(UTC))
    assert account.run().sealed == 2
    found = {}
    for key, sealed in account.sealed().items():
        name = parse(key, "sealed/")
        assert name is not None
        plain = f"incoming/{name.id}"
        found[plain] = household.opened(sealed["Body"].read(), 1)
        assert name.size == len(bodies[plain])
        assert name.etag == hashlib.md5(bodies[plain]).hexdigest()
        assert sealed["Metadata"]["sha256"] == hashlib.sha256(bodies[plain]).hexdigest()
        assert sealed["Metadata"]["version"] == stored[plain]
        assert account.tags(plain, stored[plain]) == [{"Key": "postamt-seal", "Value": "sealed"}]
    assert found == {key: body for key, body in bodies.items() if key.startswith("incoming/")}
    assert account.tags("recent/a", stored["recent/a"]) == []
    assert sorted(event["sealed"][0] for event in account.index.events) == sorted(found)
    state = account.records.state()
    assert state is not None
    assert (state.sealed, state.sealed_total, state.backlog, state.refused) == (2, 2, 0, "")
    assert account.run().sealed == 0
    again = account.records.state()
    assert again is not None
    assert (again.sealed, again.sealed_total) == (0, 2)


def test_where_the_index_does_not_forget_nothing_may_expire(
    account: Account, household: Household
) -> None:
    version = account.s3.put_object(Bucket=BUCKET, Key="incoming/a", Body=b"x")["VersionId"]
    account.settle()
    account.records.prove(encryption_fingerprints(household.keys), datetime.now(UTC))
    for error, says in (("Unhandled", {"sealed": 1}), ("", None), ("", {"sealed": 0})):
        account.index.error, account.index.says = error, says
        state = account.run()
        assert (state.sealed, state.failed, state.backlog) == (0, 1, 1)
        assert account.tags("incoming/a", version) == []
    account.index.error, account.index.says = "", {"sealed": 1}
    assert account.run().sealed == 1


def test_a_key_that_cannot_be_used_is_told(account: Account) -> None:
    account.settle()
    (account.keys / "9.pgp").write_bytes(b"no key")
    state = account.run()
    assert state.refused == "key"
    assert "not an OpenPGP certificate" in state.reason
    kept = account.records.state()
    assert kept is not None
    assert (kept.refused, kept.reason) == (state.refused, state.reason)


def test_without_any_key_nothing_begins(tmp_path: Path) -> None:
    with pytest.raises(KeyRefusedError):
        owner_keys(tmp_path, datetime.now(UTC))


def test_versions_are_listed_over_pages_and_a_null_version_is_one(
    account: Account, household: Household, tmp_path: Path
) -> None:
    account.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    account.s3.put_object(Bucket=BUCKET, Key="incoming/null", Body=b"null")
    bucket = SealerBucket(account.s3, BUCKET)
    sealer = Sealer(
        *(bucket, "incoming/", "sealed/", household.keys),
        lambda _: True,
        lambda _: None,
        cleared(tmp_path / "work"),
    )
    (version,) = bucket.versions("incoming/")
    assert version.version == "null"
    assert sealer.seal(version) == Sealed(Outcome.SEALED)
    assert account.tags("incoming/null", "null")
    account.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        for name in ("x", "y"):
            account.s3.put_object(Bucket=BUCKET, Key=f"incoming/{name}", Body=f"{number}".encode())
    account.s3.delete_object(Bucket=BUCKET, Key="incoming/y")
    listed = list(bucket.versions("incoming/", "incoming/null"))
    assert [v.key for v in listed] == ["incoming/x"] * 3 + ["incoming/y"] * 3
    assert [v.newest for v in listed] == [True, False, False] * 2
    assert [v.current for v in listed] == [True] + [False] * 5


def test_what_a_killed_run_left_lying_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / "work" / "tmp1"
    left.mkdir(parents=True)
    (left / "plain").write_bytes(b"mail")
    assert not any(cleared(tmp_path / "work").iterdir())


def test_where_the_index_is_to_keep_its_words_nobody_is_asked() -> None:
    index = IndexFunction()
    forgetting(index, "")("incoming/a")
    assert index.events == []


@pytest.mark.parametrize("name", ["x-amz-key-v2", "X-Amz-Key", "x-amz-3"])
def test_what_any_encryption_client_stored_is_not_sealed(
    account: Account, household: Household, name: str
) -> None:
    account.s3.put_object(Bucket=BUCKET, Key="incoming/a", Body=b"?", Metadata={name: "k"})
    account.settle()
    account.records.prove(encryption_fingerprints(household.keys), datetime.now(UTC))
    state = account.run()
    assert (state.sealed, state.skipped) == (0, 1)
    assert account.sealed() == {}


def test_what_the_box_says_of_other_mail_is_not_believed(
    account: Account, household: Household
) -> None:
    """A prefix may be changed at AWS before the box is started again."""
    account.s3.put_object(Bucket=BUCKET, Key="incoming/a", Body=b"first")
    account.records.prove(encryption_fingerprints(household.keys), datetime.now(UTC))
    now = datetime.now(UTC) + timedelta(minutes=10)
    for place in ("mail-of-ours/mail/", "others/incoming/", ""):
        account.records.move_watermark(now, now, place)
        assert account.run().refused == "other-mail"
    assert account.sealed() == {}
    account.records.move_watermark(now, now, "mail-of-ours/incoming/")
    assert account.run().sealed == 1


def proved_and_settled(account: Account, household: Household) -> None:
    account.settle()
    account.records.prove(encryption_fingerprints(household.keys), datetime.now(UTC))


@pytest.mark.parametrize("status", ["Suspended", "Enabled"])
def test_without_versions_nothing_is_tagged(
    account: Account, household: Household, status: Any
) -> None:
    version = account.s3.put_object(Bucket=BUCKET, Key="incoming/a", Body=b"x")["VersionId"]
    account.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": status})
    proved_and_settled(account, household)
    state = account.run()
    suspended = status == "Suspended"
    assert state.refused == ("unversioned" if suspended else "")
    assert bool(account.tags("incoming/a", version)) is not suspended
    ran_at = state.ran_at.replace(microsecond=0)
    assert account.records.state() == replace(state, ran_at=ran_at, sealed_total=state.sealed)


def test_a_bucket_that_never_kept_versions_is_as_one_that_does_no_more(account: Account) -> None:
    account.s3.create_bucket(Bucket="another-of-ours")
    assert not SealerBucket(account.s3, "another-of-ours").keeps_versions()


def test_from_keep_to_strip_the_index_is_told_of_what_was_sealed(
    account: Account, household: Household
) -> None:
    for name in ("a", "b"):
        account.s3.put_object(Bucket=BUCKET, Key=f"incoming/{name}", Body=b"x")
    proved_and_settled(account, household)
    account.index_function = ""
    assert account.run().sealed == 2
    assert account.index.events == []
    account.s3.delete_object(Bucket=BUCKET, Key="incoming/a")
    account.index_function = "postamt-index"
    for _ in range(2):
        account.run()
        told = sorted(event["sealed"][0] for event in account.index.events)
        assert told == ["incoming/a", "incoming/a", "incoming/b"], "as version, and as sealed"


def test_with_a_key_that_has_ended_what_may_expire_is_looked_at(
    account: Account, household: Household
) -> None:
    account.s3.put_object(Bucket=BUCKET, Key="incoming/a", Body=b"x")
    proved_and_settled(account, household)
    account.run()
    account.s3.put_object(
        Bucket=BUCKET, Key="incoming/copy", Body=b"x", Tagging="postamt-seal=sealed"
    )
    (account.keys / "9.pgp").write_bytes(b"no key")
    state = account.run()
    assert (state.refused, state.without_twin, state.twinless_key) == ("key", 1, "incoming/copy")


def test_all_sealed_objects_are_listed_over_pages(account: Account) -> None:
    for number in range(3):
        account.s3.put_object(Bucket=BUCKET, Key=f"sealed/{number}", Body=b"x")
    account.s3.put_object(Bucket=BUCKET, Key="sealee", Body=b"x")
    listed = account.s3.list_objects_v2

    def two_at_once(**asked: Any) -> Any:
        return listed(MaxKeys=2, **asked)

    account.s3.list_objects_v2 = two_at_once
    bucket = SealerBucket(account.s3, BUCKET)
    assert list(bucket.sealed("sealed/")) == ["sealed/0", "sealed/1", "sealed/2"]
    assert list(bucket.sealed("sealed/", "sealed/1")) == ["sealed/2"]
