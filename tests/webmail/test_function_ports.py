"""What the function at AWS is told, and what it makes of it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.mail.routing import VerdictFolders
from postamt_sync.webmail.function_ports import FunctionPorts
from postamt_sync.webmail.function_settings import FunctionSettings
from postamt_sync.webmail.routes_item import KEPT_SECONDS, RoutesItem
from tests.doubles.webmail import HANDED

SETTINGS = FunctionSettings(
    host="webmail.example.com",
    table="postamt-webmail",
    index="postamt",
    lists="postamt-lists",
    bucket="postamt-mail",
    prefix="incoming/",
    recent_prefix="",
    day_bucket="postamt-site",
    day_prefix="day/",
    session_keys="/postamt/webmail/session-keys",
    device_keys="/postamt/webmail/device-keys",
    origin_secret="/postamt/webmail/origin-secret",
)


def test_the_environment_says_all_of_it() -> None:
    environment = SETTINGS.environment
    assert FunctionSettings.read({**environment, "PATH": "/bin"}) == SETTINGS
    assert all(re.fullmatch("[A-Z][A-Z_]+", name) for name in environment)
    # Lambda keeps these to itself (AWS Lambda Developer Guide, "Environment variables").
    assert not any(name.startswith(("AWS_", "LAMBDA_", "_")) for name in environment)


@pytest.mark.parametrize("name", [field.name for field in fields(FunctionSettings)])
def test_what_is_missing_is_named(name: str) -> None:
    environment = SETTINGS.environment
    del environment[name.upper()]
    with pytest.raises(ValueError, match=f"lacks {name.upper()}$"):
        FunctionSettings.read(environment)
    if name in {"prefix", "recent_prefix"}:
        assert FunctionSettings.read({**environment, name.upper(): ""})
    else:
        with pytest.raises(ValueError, match=f"lacks {name.upper()}$"):
            FunctionSettings.read({**environment, name.upper(): ""})


@pytest.mark.parametrize("region", ["eu-west-1", "eu-central-1", "eu-south-2"])
def test_addresses_that_are_given_away_lead_to_the_region_itself(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    ports = FunctionPorts(SETTINGS, region, lambda *_: None)
    assert ports.day.origin == f"https://postamt-site.s3.{region}.amazonaws.com"
    mail = urlsplit(ports.store.presigned("incoming/one", "mail.eml"))
    assert mail.netloc == f"postamt-mail.s3.{region}.amazonaws.com"
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in mail.query


class Table:
    """The table of the lists, as far as it is asked for the routes."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.text: str | None = HANDED.to_json()
        self.asked = 0
        self.fails: Exception | None = None
        self.routes = RoutesItem(self, "postamt-lists", lambda: self.now)  # type: ignore[arg-type]

    def get_item(self, **request: Any) -> Any:
        self.asked += 1
        assert request["TableName"] == "postamt-lists"
        if self.fails:
            raise self.fails
        if self.text is None:
            return {}
        version = str(hash(self.text))
        return {"Item": {"version": {"S": version}, "routes": {"S": self.text}}}


def test_routes_are_read_now_and_then() -> None:
    table = Table()
    handed = table.routes.handed()
    assert handed == HANDED
    assert all(table.routes.handed() is handed for _ in range(5))
    assert table.asked == 1
    table.now += KEPT_SECONDS
    assert table.routes.handed() is handed, "the same routes are the same object"
    table.text = replace(HANDED, folders=VerdictFolders(junk="")).to_json()
    assert table.routes.handed() is handed
    table.now += KEPT_SECONDS
    assert table.routes.handed().folders.junk == ""


DENIED = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"form": 99}', "nonsense"])
def test_without_routes_nobody_sees_anything(text: str | None) -> None:
    table = Table()
    table.text = text
    with pytest.raises(BotoCoreError, match="postamt-lists holds no routes"):
        table.routes.handed()
    table.text = HANDED.to_json()
    assert table.routes.handed() == HANDED
    for broken, fails in ((text, None), (HANDED.to_json(), DENIED)):
        table.text, table.fails = broken, fails
        table.now += KEPT_SECONDS
        assert table.routes.handed() == HANDED, "what was known goes on"
