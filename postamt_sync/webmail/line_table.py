"""Reading the mailboxes' lists: the lines of a list, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from postamt_sync.index.entry import IndexEntry
from postamt_sync.index.lists import IDS, id_prefix, list_name, read_handed
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.webmail.index_table import read_entry

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

LAST = "~"
"""Sorts after every line: they begin with a year or `#`."""
_MOST_OF_AN_ID = 100
"""The most mails that an id leads to; more than that have it only to annoy."""


@dataclass(frozen=True, slots=True)
class LinesPage:
    """Mails with the names of their lines, newest first.

    `after` is the last line that was looked at, "" if there are no more.
    """

    found: tuple[tuple[str, IndexEntry], ...]
    after: str = ""


class LineTable(Protocol):
    """The lists. Methods raise whatever the service raises."""

    def version_for(self, routes: HandedRoutes) -> str:
        """Return the version under which all mail is listed by these routes, "" if not all is."""

    def page(self, name: str, most: int, *, before: str = LAST, since: str = "") -> LinesPage:
        """Return lines of a list: before `before`, from `since` on, `most` at most."""

    def linked(self, mailbox: str, own_ids: Sequence[str]) -> set[str]:
        """Return the ids of a mailbox's mails to which these Message-IDs lead."""


class DynamoLineTable:
    """The table at AWS."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def version_for(self, routes: HandedRoutes) -> str:
        try:
            handed = read_handed(self._client, self._table)
        except ClientError:  # perhaps not permitted yet: the index shows the same, slowly
            return ""
        if handed is None or not handed.filled or handed.routes != routes:
            return ""
        return handed.version

    def page(self, name: str, most: int, *, before: str = LAST, since: str = "") -> LinesPage:
        answer = self._query(name, since, before, most + 1)  # `before` is among them
        found = tuple(
            (item["line"]["S"], entry)
            for item in answer["Items"]
            if item["line"]["S"] != before and (entry := read_entry(item)) is not None
        )
        end = answer.get("LastEvaluatedKey")
        return LinesPage(found, end["line"]["S"] if end else "")

    def linked(self, mailbox: str, own_ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for own_id in own_ids:
            prefix = id_prefix(own_id)
            answer = self._query(list_name(mailbox, IDS), prefix, f"{prefix}{LAST}", _MOST_OF_AN_ID)
            found |= {item["message_id"]["S"] for item in answer["Items"]}
        return found

    def _query(self, name: str, first: str, last: str, most: int) -> Any:
        first = first or " "  # a key must not be empty; every line sorts after a blank
        if first > last:  # DynamoDB refuses that
            return {"Items": []}
        between = {":list": {"S": name}, ":first": {"S": first}, ":last": {"S": last}}
        return self._client.query(
            TableName=self._table,
            KeyConditionExpression="#list = :list AND #line BETWEEN :first AND :last",
            ExpressionAttributeNames={"#list": "list", "#line": "line"},
            ExpressionAttributeValues=between,
            ScanIndexForward=False,
            Limit=most,
        )
