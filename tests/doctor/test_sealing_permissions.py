"""What the daemon does for sealing is tried, and nothing is written."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from postamt_sync.config import Settings, load
from postamt_sync.doctor.permissions import PermissionCheck, permissions
from tests.doubles.moto import Moto
from tests.support.household import configure

SUBJECTS = {"permission sealing", "permission bucket sealed/"}


class Asking:
    """Reads as `AwsClient` does."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def read(self, _: str, operation: str, *, missing: tuple[str, ...] = (), **asked: Any) -> Any:
        try:
            return getattr(self.client, operation)(**asked)
        except ClientError as error:
            if error.response["Error"]["Code"] in missing:
                return None
            raise


def settings_of(base: Path, *more: str) -> Settings:
    config = configure(base)
    config.write_text("\n".join([config.read_text(), *more]))
    return load(config, {})


def checks(settings: Settings) -> dict[tuple[str, str], PermissionCheck]:
    account: Any = None
    found = (c for c in permissions(settings, account) if isinstance(c, PermissionCheck))
    return {(c.subject, c.action): c for c in found if c.subject in SUBJECTS}


def test_without_sealing_nothing_of_it_is_asked(tmp_path: Path) -> None:
    assert checks(settings_of(tmp_path)) == {}


def test_each_right_is_tried_and_nothing_written(tmp_path: Path, cloud: Moto) -> None:
    stack = f"seal{uuid.uuid4().hex[:8]}"
    settings = settings_of(tmp_path, f'[stack]\nname = "{stack}"', '[seal]\nkeys = ["a.asc"]')
    found = checks(settings)
    assert set(found) == {
        ("permission sealing", "dynamodb:GetItem"),
        ("permission sealing", "dynamodb:UpdateItem"),
        ("permission bucket sealed/", "s3:ListBucket"),
    }
    dynamodb = cloud.client("dynamodb")
    aws: Any = Asking(dynamodb)
    hear = found["permission sealing", "dynamodb:GetItem"].attempt
    assert "There is no table" in hear(aws)
    dynamodb.create_table(
        TableName=settings.seal_table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert hear(aws) == ""
    assert found["permission sealing", "dynamodb:UpdateItem"].attempt(aws) == ""
    assert dynamodb.scan(TableName=settings.seal_table)["Count"] == 0
