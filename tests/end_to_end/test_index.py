"""A mail whose announcement was lost: the index Lambda knows for whom it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.index.function import Indexer
from tests.doubles.moto import Moto, moto
from tests.doubles.notices import event, receipt, stored
from tests.end_to_end.home import ANNA, BRUNO, Home

BUCKET, TABLE, PREFIX, RECENT = "mail", "postamt", "incoming/", "recent/"


@pytest.fixture
def cloud() -> Iterator[Moto]:
    with moto() as cloud:
        cloud.make_bucket(BUCKET)
        cloud.make_table(TABLE)
        yield cloud


@pytest.fixture
def home(tmp_path: Path, cloud: Moto) -> Iterator[Home]:
    home = Home(tmp_path, cloud.environment)
    home.configure(f'[index]\ntable = "{TABLE}"\n[poll]\ninterval = 10\n')
    yield home
    home.close()


class Ses:
    """SES and S3, whose notices only the Lambda hears."""

    def __init__(self, cloud: Moto) -> None:
        self._s3 = cloud.client("s3")
        self._index = Indexer(
            TABLE, BUCKET, PREFIX, cloud.client("dynamodb"), self._s3, lambda *_: None
        )

    def receive(self, name: str, *recipients: str, body: bytes = b"") -> bytes:
        """Take a mail that its To does not betray; its Received names the first recipient."""
        body = body or stored(name, {"To": "list@other.example"}, recipients[0])
        etag = ""
        for prefix in (PREFIX, RECENT):
            etag = self._s3.put_object(Bucket=BUCKET, Key=prefix + name, Body=body)["ETag"]
        self._index.take(event(PREFIX + name, etag.strip('"'), len(body)))
        self._index.take(receipt(name, recipients))
        return body


def mailboxes(home: Home) -> list[str]:
    return sorted(place.mailbox for place, _ in home.mails())


@pytest.mark.parametrize("recent", ["", RECENT])
def test_a_bcc_that_the_poll_finds_after_the_webhook_was_lost_reaches_its_mailbox(
    home: Home, cloud: Moto, recent: str
) -> None:
    body = Ses(cloud).receive("a" * 40, ANNA, BRUNO)
    daemon = home.start(recent=recent, POSTAMT_SYNC_DELIVERY__ENVELOPE_GRACE="900")
    daemon.until("delivered", 2)
    assert mailboxes(home) == ["anna", "bruno"]
    assert {content for _, content in home.contents()} == {body}
    assert {line["evidence"] for line in daemon.events("routed")} == {"receipt"}
    assert daemon.stop() == 0


def test_a_pass_routes_an_old_bucket_by_the_receipts_of_the_index(home: Home, cloud: Moto) -> None:
    ses = Ses(cloud)
    ses.receive("a" * 40, ANNA, BRUNO)
    ses.receive("b" * 40, BRUNO, body=b"Subject: no trace of anybody\r\n\r\nhello")
    code, counts = home.sync()
    assert (code, counts["delivered"]) == (0, 2)
    assert mailboxes(home) == ["anna", "bruno", "bruno"]


def test_a_table_that_is_not_there_is_told_and_holds_up_no_mail_that_is_placed(
    home: Home, cloud: Moto
) -> None:
    Ses(cloud).receive("a" * 40, ANNA, BRUNO)
    code, counts = home.sync(POSTAMT_SYNC_INDEX__TABLE="nobody")
    assert (code, counts["delivered"]) == (0, 1)
    (source,) = [s for s in home.status()["sources"] if s["name"] == "index"]
    assert "no table nobody" in source["problem"]
    assert mailboxes(home) == ["anna"]
    home.sync()  # now the table is there
    assert mailboxes(home) == ["anna", "bruno"]
