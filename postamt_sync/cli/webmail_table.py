"""Opens the webmail's own table, for the verbs."""

from __future__ import annotations

import time
from typing import Any

from postamt_sync.aws.clients import dynamodb_client, new_session
from postamt_sync.aws.errors import aws_call
from postamt_sync.bootstrap.open_stack import open_stack, webmail_of
from postamt_sync.bootstrap.plan import carry_out, plan
from postamt_sync.bootstrap.resources.table import records_table
from postamt_sync.bootstrap.webmail_stack import webmail_name
from postamt_sync.config import Settings
from postamt_sync.config.command import typed
from postamt_sync.errors import UsageError
from postamt_sync.webmail.record_table import DynamoRecordTable
from postamt_sync.webmail.users import WebmailUsers


def table_name(settings: Settings) -> str:
    """Return the name of the webmail's table."""
    return webmail_name(settings.stack.name)


def opened_users(settings: Settings, *, make: bool = False) -> WebmailUsers:
    client = dynamodb_client(new_session(settings.aws.region), settings.aws.region)
    name = table_name(settings)
    with aws_call("open the webmail's table", name=name):
        if not _is_there(client, name):
            if not make:
                raise nobody(settings)
            _make(settings)
            client.get_waiter("table_exists").wait(TableName=name)
            print(f"The table {name} was created.")
    return users_of(client, settings)


def _make(settings: Settings) -> None:
    """Create the table like bootstrap does, for a webmail that is only served at home."""
    stack, aws = open_stack(settings)
    table = records_table(webmail_of(settings, stack.account), aws)
    carry_out(plan([table]), aws, lambda *_: None)


def users_of(client: Any, settings: Settings) -> WebmailUsers:
    return WebmailUsers(
        DynamoRecordTable(client, table_name(settings)),
        time.time,
        command=lambda verb: typed(f"webmail user {verb}", settings.source),
    )


def nobody(settings: Settings) -> UsageError:
    return UsageError(
        "No mailbox may sign in yet.",
        f"Let one, with: {typed('webmail user add NAME', settings.source)}",
    )


def anyone(client: Any, settings: Settings) -> bool:
    try:
        return next(users_of(client, settings).everyone(), None) is not None
    except client.exceptions.ResourceNotFoundException:
        return False


def _is_there(client: Any, name: str) -> bool:
    try:
        client.describe_table(TableName=name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True
