"""Bringing index and lists up to the bucket: of mail that was there before, and by other routes.

What is done already is seen from the index alone, so a run that was ended anywhere is completed by
the next one, and costs only what is left. What the index knows of an envelope stays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from postamt_sync.aws.errors import aws_call
from postamt_sync.errors import TryLaterError
from postamt_sync.index.entry import Acceptance, Basis, IndexEntry, Stored
from postamt_sync.index.function import LONGEST_ID, Indexer
from postamt_sync.index.lists import HandedVersion, read_handed
from postamt_sync.index.notice_values import iso
from postamt_sync.mail.arrival import ARCHIVE_CLASSES, is_no_mail
from postamt_sync.mail.handed_routes import ROUTES_KEY

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

AT_ONCE = 16
"""Mails that are worked on at the same time."""
ASKED_AT_ONCE = 100
"""Keys of one BatchGetItem."""
TRIES = 6
"""Requests for what DynamoDB leaves unprocessed."""
MOST_FAILURES = 20
"""Mails that may fail before the run gives up."""

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class FoundObject:
    """A mail in the bucket that is not listed by the routes of now.

    `reads`: its header has to be read. `stored_at` is in seconds since 1970.
    """

    key: str
    etag: str
    size: int
    stored_at: float
    storage_class: str
    reads: bool


@dataclass(slots=True)
class Backlog:
    """What there is to do: `mails` are in the bucket, `left` is to be listed."""

    version: str
    mails: int = 0
    left: list[FoundObject] = field(default_factory=list)

    @property
    def reads(self) -> list[FoundObject]:
        """Those of which a GET reads the header; what lies in an archive is not asked for."""
        return [o for o in self.left if o.reads and o.storage_class not in ARCHIVE_CLASSES]


class Reindex:
    """Of one bucket's `prefix`; `passed_over` are prefixes below which is no received mail."""

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        s3: S3Client,
        *,
        index: str,
        lists: str,
        bucket: str,
        prefix: str,
        passed_over: Collection[str] = (),
        kms: Any = None,
    ) -> None:
        """`kms` is a client that opens what SES encrypted; None where that is not to be opened."""
        self._dynamodb = dynamodb
        self._s3 = s3
        self._index = index
        self._lists = lists
        self._bucket = bucket
        self._prefix = prefix
        self._passed_over = tuple(passed_over)
        self._indexer = Indexer(index, bucket, prefix, dynamodb, s3, lambda *_: None, lists, kms)

    def handed(self) -> HandedVersion | None:
        """Return the routes that were handed over; raises PostamtError."""
        with aws_call("read who gets what", name=self._lists):
            return read_handed(self._dynamodb, self._lists)

    def look(self, handed: HandedVersion, show: Callable[[int], None]) -> Backlog:
        """Compare bucket and index; `show` is told how many objects were looked at.

        Raises PostamtError.
        """
        found = Backlog(handed.version)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            batches = self._batches()
            for batch, known in _in_parallel(threads, batches, self._known, AT_ONCE):
                found.mails += len(batch)
                for each in batch:
                    version = known.get(each["Key"][len(self._prefix) :])
                    if version != handed.version:
                        found.left.append(_found(each, reads=not version))
                show(found.mails)
        return found

    def carry_out(self, backlog: Backlog, show: Callable[[int], None]) -> int:
        """List what is left, and return how many that changed; `show` is told how many are done.

        Raises PostamtError where some could not be; the next run goes on from there.
        """
        failures: list[Exception] = []
        changed = 0
        with ThreadPoolExecutor(AT_ONCE) as threads:
            try:
                work = _in_parallel(threads, backlog.left, self._fill, 4 * AT_ONCE)
                for done, (_, outcome) in enumerate(work, start=1):
                    if isinstance(outcome, Exception):
                        failures.append(outcome)
                    else:
                        changed += outcome
                    show(done)
                    if len(failures) >= MOST_FAILURES:
                        break
            finally:
                threads.shutdown(wait=True, cancel_futures=True)
        if failures:
            with aws_call("list the mail of the bucket", name=self._lists):
                raise failures[0]
        return changed

    def finish(self, backlog: Backlog) -> None:
        """Note that all mail is listed by these routes; raises PostamtError.

        So too where others were handed over meanwhile.
        """
        try:
            with aws_call("note that all mail is listed", name=self._lists):
                self._note(backlog.version)
        except _OtherRoutesError:
            raise TryLaterError(
                "Other routes were handed over meanwhile.",
                "Run it again: postamt-sync bootstrap reindex",
            ) from None

    def _note(self, version: str) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._lists,
                Key=ROUTES_KEY,
                UpdateExpression="SET #filled = :version",
                ConditionExpression="#version = :version",
                ExpressionAttributeNames={"#filled": "filled", "#version": "version"},
                ExpressionAttributeValues={":version": {"S": version}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise _OtherRoutesError("other routes", "") from error
            raise

    def _batches(self) -> Iterator[Sequence[Any]]:
        """Yield the objects of the bucket that are mail, as many as are asked for at once."""
        every = (each for page in self._pages() for each in page if self._is_mail(each))
        while batch := list(itertools.islice(every, ASKED_AT_ONCE)):
            yield batch

    def _pages(self) -> Iterator[Sequence[Any]]:
        pages = iter(
            self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
        )
        while True:
            with aws_call("list the bucket", name=self._bucket):
                page = next(pages, None)
            if page is None:
                return
            yield page.get("Contents", [])

    def _is_mail(self, listed: Any) -> bool:
        key = listed["Key"]
        return (
            not is_no_mail(key, listed["Size"])
            and not key.startswith(self._passed_over)
            and 1 <= len(key[len(self._prefix) :].encode()) <= LONGEST_ID
        )

    def _known(self, batch: Sequence[Any]) -> dict[str, str]:
        """Return by id the version by which each mail is listed, "" where it never was."""
        found: dict[str, str] = {}
        names = (each["Key"][len(self._prefix) :] for each in batch)
        wanted: list[Any] = [{"message_id": {"S": name}} for name in names]
        request: Any = {"ProjectionExpression": "message_id, listed"}
        with aws_call("ask the index", name=self._index):
            for _ in range(TRIES):
                asked: Any = {self._index: {**request, "Keys": wanted}}
                answer: Any = self._dynamodb.batch_get_item(RequestItems=asked)
                for item in answer["Responses"].get(self._index, []):
                    found[item["message_id"]["S"]] = item.get("listed", {}).get("S", "")
                wanted = answer.get("UnprocessedKeys", {}).get(self._index, {}).get("Keys", [])
                if not wanted:
                    break
        return found  # what was not answered is looked at once more when its turn comes

    def _fill(self, found: FoundObject) -> bool | Exception:
        news = IndexEntry(
            found.key[len(self._prefix) :],
            found.key,
            acceptance=Acceptance(Basis.EVENT, iso(found.stored_at)),
            stored=Stored(found.etag, found.size),
        )
        try:
            return self._indexer.fill(news)
        except Exception as error:  # noqa: BLE001  one mail must not hold back the others
            return error


class _OtherRoutesError(TryLaterError):
    """The routes are others by now."""


def _found(listed: Any, *, reads: bool) -> FoundObject:
    return FoundObject(
        listed["Key"],
        listed["ETag"].strip('"'),
        listed["Size"],
        listed["LastModified"].timestamp(),
        listed.get("StorageClass", "STANDARD"),
        reads,
    )


def _in_parallel(
    threads: ThreadPoolExecutor, every: Iterable[_T], do: Callable[[_T], _R], most: int
) -> Iterator[tuple[_T, _R]]:
    """Yield each with what came of it, as they are done; at most so many are under way."""
    under_way: dict[Future[_R], _T] = {}
    todo = iter(every)
    while True:
        for each in itertools.islice(todo, most - len(under_way)):
            under_way[threads.submit(do, each)] = each
        if not under_way:
            return
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            yield under_way.pop(future), future.result()
