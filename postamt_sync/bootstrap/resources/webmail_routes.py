"""Who gets which mail, for the index function and the webmail: one item in the table of lists."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Note, PlanItem
from postamt_sync.bootstrap.resources.table import BUSY, MISSING
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.config.command import USUAL_LINE, CommandLine
from postamt_sync.mail.arrival import is_no_mail
from postamt_sync.mail.handed_routes import ROUTES_KEY

MOST_BYTES = 390_000
"""A DynamoDB item may have 400 KB."""
_LOOKED_AT = 5
"""Objects to look at when looking for a mail: SES's own test of the rule is among them."""


@dataclass(frozen=True, slots=True)
class WebmailRoutesResource:
    """The item. Planned after the function that reads it, so that no mail comes in between."""

    stack: Stack
    aws: AwsClient
    line: CommandLine = USUAL_LINE

    @property
    def title(self) -> str:
        return "who gets what, for the lists of mail"

    def plan(self) -> Iterator[PlanItem]:
        text = self._text
        if not text:
            return
        if len(text.encode()) > MOST_BYTES:
            yield Note(
                f"{len(text.encode()):,} bytes of mailboxes are more than one item can hold: they "
                "are not handed over. The webmail at AWS goes by those of before, if any; what "
                "`webmail serve` shows is listed slowly, by looking at all of it."
            )
            return
        item = self._item()
        there = item.get("routes", {}).get("S")
        if there != text:
            put = Call(
                "dynamodb",
                "put_item",
                {"TableName": self.stack.lists},
                retry_on=(*MISSING, *BUSY),
                late=self._made,
            )
            yield Change("hand over" if there is None else "was changed, hand over again", [put])
        if (there != text or not _is_filled(item)) and self._has_mail():
            yield Note(
                self.line.complete(
                    "mail that is there already is listed by these routes, as quickly as new mail, "
                    "after: postamt-sync bootstrap reindex"
                )
            )

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()  # it goes with its table

    @property
    def _text(self) -> str:
        return self.stack.handed.to_json() if self.stack.handed else ""

    def _made(self) -> dict[str, Any]:
        """Return the item to write now.

        If there is no mail yet, the lists are complete, and the item says so.
        """
        version = {"S": secrets.token_hex(8)}
        filled = {} if self._has_mail() else {"filled": version}
        return {"Item": {**ROUTES_KEY, "version": version, "routes": {"S": self._text}, **filled}}

    def _item(self) -> dict[str, Any]:
        answer = self.aws.read(
            "dynamodb",
            "get_item",
            missing=MISSING,
            TableName=self.stack.lists,
            Key=ROUTES_KEY,
            ConsistentRead=True,
        )
        item: dict[str, Any] = (answer or {}).get("Item", {})
        return item

    def _has_mail(self) -> bool:
        """Whether there is any mail in the index or the bucket."""
        indexed = self.aws.read(
            "dynamodb", "scan", missing=MISSING, TableName=self.stack.table, Limit=1
        )
        if (indexed or {}).get("Items"):
            return True
        listed = self.aws.read(
            "s3",
            "list_objects_v2",
            missing=("NoSuchBucket",),
            Bucket=self.stack.bucket,
            Prefix=self.stack.prefix,
            MaxKeys=_LOOKED_AT,
        )
        objects = (listed or {}).get("Contents", [])
        return any(not is_no_mail(one["Key"], one["Size"]) for one in objects)


def _is_filled(item: dict[str, Any]) -> bool:
    return bool(item.get("filled", {}).get("S") == item.get("version", {}).get("S"))
