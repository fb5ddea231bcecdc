"""The webmail's own table, as the verbs open it."""

from __future__ import annotations

import time
from typing import Any

from postamt_sync.aws.clients import dynamodb_client, new_session
from postamt_sync.aws.errors import aws_call
from postamt_sync.config import Settings
from postamt_sync.config.command import typed
from postamt_sync.errors import UsageError
from postamt_sync.webmail.record_table import DynamoRecordTable, make_record_table
from postamt_sync.webmail.users import WebmailUsers


def table_name(settings: Settings) -> str:
    """Return the name of the webmail's own table."""
    return f"{settings.stack.name}-webmail"


def opened_users(settings: Settings, *, make: bool = False) -> WebmailUsers:
    client = dynamodb_client(new_session(settings.aws.region), settings.aws.region)
    name = table_name(settings)
    with aws_call("open the webmail's table", name=name):
        if make:
            if make_record_table(client, name, settings.stack.name):
                print(f"The table {name} is made.")
        elif not _is_there(client, name):
            raise nobody(settings)
    return users_of(client, settings)


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
