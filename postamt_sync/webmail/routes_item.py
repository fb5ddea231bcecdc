"""The routes that were handed over, as they lie in the table of the lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.mail.handed_routes import ROUTES_KEY, HandedRoutes

KEPT_SECONDS = 60
"""How long routes are taken for those of now."""


class NoRoutesError(BotoCoreError):
    """No routes were handed over, or none that are understood."""

    fmt = "The table {table} holds no routes: run bootstrap apply"


class RoutesItem:
    """Reads the routes now and then; the same object is returned as long as they are the same."""

    def __init__(self, client: Any, table: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._text = ""
        self._handed: HandedRoutes | None = None
        self._asked_at = 0.0

    def handed(self) -> HandedRoutes:
        """Return the routes as they were at most KEPT_SECONDS ago, or when they were last had.

        Raises what DynamoDB raises, or NoRoutesError, as long as none are known.
        """
        if self._handed is None:
            return self._read()
        if self._clock() - self._asked_at >= KEPT_SECONDS:
            try:
                return self._read()
            except (BotoCoreError, ClientError):
                pass
        return self._handed

    def _read(self) -> HandedRoutes:
        self._asked_at = self._clock()
        answer = self._client.get_item(TableName=self._table, Key=ROUTES_KEY)
        text = str(answer.get("Item", {}).get("routes", {}).get("S", ""))
        if self._handed is None or text != self._text:
            try:
                handed = HandedRoutes.from_json(text)
                handed.routes  # noqa: B018  which are no routes as long as this raises
            except ValueError:
                raise NoRoutesError(table=self._table) from None
            self._text, self._handed = text, handed
        return self._handed
