"""The index Lambda: from each notification of the topic to an entry of its mail in DynamoDB.

Notifications come at least once and in any order, so each is merged into what the table knows and
written only if that made a difference, under the condition that nobody else has written meanwhile.
What fails at AWS is raised: Lambda tries twice more and then puts it into the dead-letter queue.
What cannot be used would fail again, so it is logged and no more.

Runs with nothing but boto3 beside it; imports only the standard library, `postamt_sync.mail` and
what opens mail that SES encrypted.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.index.entry import Basis, IndexEntry, entries, merge, with_header
from postamt_sync.index.entry_item import from_item, to_item
from postamt_sync.index.entry_update import entry_update, race_lost
from postamt_sync.index.invocation_event import SEALED_KEYS, messages_of, sealed_keys_of
from postamt_sync.index.item import Item, text
from postamt_sync.index.list_facts import facts_of_head
from postamt_sync.index.lists import HandedVersion, Lists
from postamt_sync.index.stored_head import StoredHead
from postamt_sync.index.summary import summary_of_head
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.headers import ses_headers
from postamt_sync.mail.notification import NotificationKind, read_notification
from postamt_sync.mail.sent_mail import OUTBOX_PREFIX, SENT_PREFIX, is_sent

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

LONGEST_VALUE = 300
"""Characters of a foreign value that a log line shows."""

CALL_SECONDS = 5
"""Lambda ends us after 30; a call that hangs has to fail before, or nobody learns why."""

WRITERS_AT_ONCE = 10
"""Lost races for one item before a notification fails; a mail has two, and their duplicates."""

LONGEST_ID = 2_048
"""Bytes of a partition key (DynamoDB developer guide, "Constraints")."""

WantsHeader = Callable[[Mapping[str, Any], IndexEntry | None, IndexEntry], bool]
"""Whether the object is to be read, by the item and its entry that are there, and the news."""

Say = Callable[[str, str, Mapping[str, object]], None]
"""Level, event and fields of one line of the log; never an address or anything of the content."""


class Indexer:
    """Keeps the entries of one bucket's mail in one table."""

    def __init__(
        self,
        table: str,
        bucket: str,
        prefix: str,
        dynamodb: DynamoDBClient,
        s3: S3Client,
        say: Say,
        lists: str = "",
        kms: Any = None,
    ) -> None:
        """`lists` is the table of the mailboxes' lists, "" where none are kept; `kms` a client that
        opens what SES encrypted, None where that is not to be opened."""
        self._table = table
        self._bucket = bucket
        self._prefix = prefix
        self._dynamodb = dynamodb
        self._say = say
        self._heads = StoredHead(s3, bucket, kms, lambda *told: say("warning", *told))
        self._lists = Lists(dynamodb, table, lists) if lists else None

    def take(self, message: str) -> None:
        """Index the mails of one notification; durable on return.

        Raises whatever failed at AWS, after all else in the notification was done, to be tried
        again.
        """
        notification = read_notification(message, Source.INDEX)
        if notification.kind is NotificationKind.NOT_UNDERSTOOD:
            # No other attempt could read it; the daemon hears of it too, and tells a person.
            self._say("warning", "not understood", {"reason": notification.reason})
            return
        if not notification.arrivals:
            self._say("info", "no mail", {"kind": notification.kind, "reason": notification.reason})
        failures: list[Exception] = []
        for arrival, entry in zip(
            notification.arrivals, entries(notification, self._prefix), strict=True
        ):
            known = {"mail": arrival.mail_id, "key": arrival.key[:LONGEST_VALUE]}
            if arrival.bucket == self._bucket and is_sent(arrival.key, self._prefix):
                self._say("info", "sent by the webmail", known)
                continue
            if not self._is_ours(arrival, entry):
                self._say("warning", "not of our bucket and prefix", known)
                continue
            try:
                written = self._upsert(entry, _wants_header)
            except Exception as error:  # noqa: BLE001  one mail must not hold back the others
                failures.append(error)
                self._say("error", "not indexed", {**known, "reason": type(error).__name__})
            else:
                event = "indexed" if written else "known already"
                self._say("info", event, {**known, "kind": notification.kind})
        if failures:
            raise failures[0]

    def _is_ours(self, arrival: Arrival, entry: IndexEntry) -> bool:
        """Tell received mail of our bucket from all else; what the webmail sends is none."""
        return bool(
            arrival.bucket == self._bucket
            and arrival.key.startswith(self._prefix)
            and (self._prefix or not arrival.key.startswith((SENT_PREFIX, OUTBOX_PREFIX)))
            and 1 <= len(entry.message_id.encode()) <= LONGEST_ID
        )

    def fill(self, news: IndexEntry) -> bool:
        """Merge what a listing knows of an object, and list the mail by the routes of now.

        Its header is read where no version of us that knows of lists has seen it. Returns whether
        that changed anything; raises as `take` does.
        """
        return self._upsert(news, _wants_facts)

    def seal(self, key: str) -> None:
        """Note for good that a mail is sealed: its entry and lines lose what others wrote of it."""
        entry = IndexEntry(key.removeprefix(self._prefix), key, sealed=True)
        if self._is_ours(Arrival(self._bucket, key, Source.INDEX), entry):
            self._upsert(entry, lambda *_: False)

    def _upsert(self, news: IndexEntry, wants: WantsHeader) -> bool:
        """Merge `news` into the table; tell whether that changed anything.

        With lists it is looked once more after each write: whoever hands over other routes
        meanwhile leaves no mail behind that is listed by the former ones.
        """
        looked = changed = False
        for _ in range(WRITERS_AT_ONCE):
            handed = self._handed()
            item: Mapping[str, Any] = self._dynamodb.get_item(
                TableName=self._table,
                Key={"message_id": {"S": news.message_id}},
                ConsistentRead=True,
            ).get("Item", {})
            known = from_item(item) if item else None
            if not looked and wants(item, known, news):
                looked = True
                news = self._look(news)
            merged = merge(known, news) if known else news
            if merged == known and (handed is None or text(item, "listed") == handed.version):
                return changed
            if self._write(merged, item, known, handed):
                changed = True
                if self._lists is None:
                    return True
        raise TimeoutError("Too many others write this entry at the same time.")

    def _handed(self) -> HandedVersion | None:
        """Return the routes; None where no lists are kept. Where they cannot be read, the envelope
        is kept all the same."""
        if self._lists is None:
            return None
        try:
            return self._lists.handed()
        except (ClientError, BotoCoreError) as error:
            self._say("warning", "routes not read", {"reason": _reason(error)})
            return None

    def _write(
        self,
        entry: IndexEntry,
        over: Mapping[str, Any],
        known: IndexEntry | None,
        handed: HandedVersion | None,
    ) -> bool:
        """Write an entry unless someone else has written since `over`, {} if none, was read."""
        item = to_item(entry)
        without = to_item(known).keys() - item.keys() if known else frozenset[str]()
        if self._lists is None or handed is None:
            return self._write_alone(item, over, {*without, "listed"})
        try:
            return self._lists.write(entry, over, without, handed)
        except (ClientError, BotoCoreError) as error:
            self._say("error", "not listed", {"reason": _reason(error)})
            self._write_alone(item, over, {*without, "listed"})
            raise

    def _write_alone(self, item: Item, over: Mapping[str, Any], without: Collection[str]) -> bool:
        """Write the item of an entry without its lines, which are complete no more."""
        try:
            self._dynamodb.update_item(**entry_update(self._table, item, over, without))
        except ClientError as error:
            if race_lost(error):
                return False
            raise
        return True

    def _look(self, entry: IndexEntry) -> IndexEntry:
        """Add what the object's own header says, if it can be read."""
        assert entry.stored is not None
        head = self._heads.read(entry.key, entry.stored.etag or "")
        if head is None:
            return entry
        ses = ses_headers(head, entry.key)
        return with_header(entry, summary_of_head(head), ses, facts_of_head(head))


def _wants_header(_item: Mapping[str, Any], known: IndexEntry | None, news: IndexEntry) -> bool:
    """Whether the object is to be read: its event has come, no receipt yet, nor was it read."""
    if news.stored is None or (known is not None and known.sealed):
        return False
    if known is None or known.header is None:
        return True
    if known.header.basis is Basis.OBJECT:
        return known.stored is None or known.stored.etag != news.stored.etag
    return known.header.basis is not Basis.RECEIPT


def _wants_facts(item: Mapping[str, Any], known: IndexEntry | None, _news: IndexEntry) -> bool:
    """Whether the object is to be read: no version of us that knows of lists has done so."""
    return known is None or not (known.sealed or (known.header and "lines" in item))


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))[:LONGEST_VALUE]
    return type(error).__name__


def handle(event: object, _context: object) -> dict[str, int]:
    """Take what SNS hands to Lambda, or keys that the sealing function has sealed; returns how many
    these were."""
    sealed = sealed_keys_of(event)
    for key in sealed:
        _indexer().seal(key)
    for message in messages_of(event):
        if message is None:
            _say("warning", "not understood", {"reason": "no notification of a topic"})
        else:
            _indexer().take(message)
    return {SEALED_KEYS: len(sealed)}


@functools.cache
def _indexer() -> Indexer:
    """Make the clients once: Lambda keeps the process for the next notifications."""
    config = Config(
        connect_timeout=CALL_SECONDS,
        read_timeout=CALL_SECONDS,
        retries={"total_max_attempts": 3, "mode": "standard"},
        # A part of an object has no checksum that could be validated.
        response_checksum_validation="when_required",
    )
    return Indexer(
        os.environ["TABLE"],
        os.environ["BUCKET"],
        os.environ["PREFIX"],
        boto3.client("dynamodb", config=config),
        boto3.client("s3", config=config),
        _say,
        os.environ.get("LISTS", ""),
        boto3.client("kms", config=config) if os.environ.get("KMS") else None,
    )


def _say(level: str, event: str, fields: Mapping[str, object]) -> None:
    """Write one line of JSON, which CloudWatch Logs can search by field."""
    sys.stdout.write(json.dumps({"level": level, "event": event, **fields}) + "\n")
    sys.stdout.flush()
