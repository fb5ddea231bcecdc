"""The lists of the mailboxes as the webmail reads them: the lines of one list, newest first."""

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
"""Sorts behind every line, which begins with a year or `#`."""
_MOST_OF_AN_ID = 100
"""Mails that one id leads to; more have it only because someone wants to be a nuisance."""


@dataclass(frozen=True, slots=True)
class LinesPage:
    """Mails by the names of their lines, newest first; `after` is the last line that was looked at,
    "" where there are no more."""

    found: tuple[tuple[str, IndexEntry], ...]
    after: str = ""


class LineTable(Protocol):
    """The lists. Raises whatever the service raises."""

    def version_for(self, routes: HandedRoutes) -> str:
        """Return the version under which all mail is listed by these routes; "" if not all is."""

    def page(self, name: str, most: int, *, before: str = LAST, since: str = "") -> LinesPage:
        """Return lines of a list from before the one to since the other."""

    def linked(self, mailbox: str, own_ids: Sequence[str]) -> set[str]:
        """Return mails of a mailbox that one of these ids leads to."""


class DynamoLineTable:
    """The table at AWS."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def version_for(self, routes: HandedRoutes) -> str:
        try:
            handed = read_handed(self._client, self._table)
        except ClientError:  # not granted yet, say: the index shows the same, slowly
            return ""
        if handed is None or not handed.filled or handed.routes != routes:
            return ""
        return handed.version

    def page(self, name: str, most: int, *, before: str = LAST, since: str = "") -> LinesPage:
        answer = self._query(name, since, before, most + 1)  # the one before is among them
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
        first = first or " "  # a key may not be empty; every line sorts behind a blank
        if first > last:  # which DynamoDB takes for a mistake
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
