"""Reading the routes that were handed over, from the table of the lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.index.lists import HandedVersion, read_handed
from postamt_sync.mail.handed_routes import HandedRoutes

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KEPT_SECONDS = 60
"""Seconds for which routes are taken for the current ones."""


class NoRoutesError(BotoCoreError):
    """No routes were handed over, or none that we understand."""

    fmt = "The table {table} holds no routes: run bootstrap apply"


class RoutesItem:
    """Reads the routes now and then. While they stay the same, so does the object."""

    def __init__(self, client: DynamoDBClient, table: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._handed: HandedVersion | None = None
        self._asked_at = 0.0

    def handed(self) -> HandedRoutes:
        """Return the routes as they were at most KEPT_SECONDS ago or, on failure, when last read.

        While none are known, this raises what DynamoDB raises, or NoRoutesError.
        """
        if self._handed is None:
            return self._read()
        if self._clock() - self._asked_at >= KEPT_SECONDS:
            try:
                return self._read()
            except (BotoCoreError, ClientError):
                pass
        return self._handed.routes

    def _read(self) -> HandedRoutes:
        self._asked_at = self._clock()
        found = read_handed(self._client, self._table)
        if found is None:
            raise NoRoutesError(table=self._table)
        if self._handed is None or found.version != self._handed.version:
            self._handed = found
        return self._handed.routes
