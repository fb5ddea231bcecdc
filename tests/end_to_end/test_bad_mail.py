"""Bad input, from the bucket to the Maildir: odd keys, and mail that is hardly any."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from postamt_sync.delivery.filename import parse_name
from postamt_sync.demo.ses import ses_header
from tests.doubles.s3 import S3Double
from tests.doubles.s3_keys import ODD_KEYS
from tests.end_to_end.home import Home
from tests.end_to_end.letters import RECEIVED_AT, letter, put

MB = 1 << 20


def test_odd_keys_are_fetched_right_and_none_spoils_the_listing(home: Home, s3: S3Double) -> None:
    s3.page_size = 5
    bodies = {key: b"Subject: odd\r\n\r\n" + key.encode() for key in ODD_KEYS}
    for key, body in bodies.items():
        s3.put(key, body)
    before = tree(home.root.parent)
    code, said = home.sync(POSTAMT_SYNC_BUCKET__PREFIX="")
    assert (code, said["listed"], said["delivered"]) == (0, len(ODD_KEYS), len(ODD_KEYS)), said
    assert home.contents() == Counter(("anna", body) for body in bodies.values())
    for _, path in home.mails():
        assert parse_name(path.name), path
    grown = {path.relative_to(home.root).parts[0] for path in tree(home.root.parent) - before}
    assert grown == {"state", "mail"}


def tree(root: Path) -> set[Path]:
    return set(root.rglob("*"))


HARDLY_MAIL = {
    "no mail at all": random.Random(1).randbytes(5000),
    "empty": b"",
    "bare LF": b"Subject: unix\n\nline\nline\n",
    "bare CR": b"Subject: old\r\rline\r",
    "NUL": b"Subject: n\x00l\r\n\r\n\x00\x00\r\n\x00",
    "10,000 header lines": b"".join(b"X-%d: line\r\n" % n for n in range(10_000)) + b"\r\nbody",
    "headers without end": b"X-Long: " + b"x" * 3 * MB,
    "only a line end": b"\r\n",
    "no final line end": b"Subject: short\r\n\r\nend",
    "unknown charset": b"Subject: =?x-none?Q?=FF?=\r\nTo: \xff\xfe\r\n\r\n\xff",
}


def test_what_is_hardly_mail_is_delivered_as_it_is(home: Home, s3: S3Double) -> None:
    for name, body in HARDLY_MAIL.items():
        s3.put(f"incoming/{name}", body)
    code, said = home.sync()
    assert (code, said["delivered"]) == (0, len(HARDLY_MAIL)), said
    assert home.contents() == Counter(("anna", body) for body in HARDLY_MAIL.values())


PASS = """
import asyncio, resource, sys
from pathlib import Path
from postamt_sync.bucket import Bucket
from postamt_sync.config import load
from postamt_sync.logs import configure_logging
from postamt_sync.app.sync import SyncRun

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def one(prefix):
    settings = load(Path(sys.argv[1]))
    settings = settings.model_copy(
        update={"bucket": settings.bucket.model_copy(update={"prefix": prefix})}
    )
    result = await SyncRun(settings, events, Bucket("mail", settings.aws.region)).run()
    assert result.error is None and result.totals.delivered == result.totals.listed, result

events = configure_logging(level="error")
asyncio.run(one("small/"))
before = peak()
asyncio.run(one("large/"))
print(peak() - before, file=sys.stderr)
"""


def test_three_mails_of_40_mb_at_once_do_not_sit_in_memory(home: Home, s3: S3Double) -> None:
    s3.put("small/1", b"To: anna@example.com\r\n\r\n")
    head = b"To: anna@example.com\r\n\r\n"
    large = [head + str(number).encode() + bytes(40 * MB) for number in range(3)]
    for number, body in enumerate(large):
        s3.put(f"large/{number}", body)
    process = home.start("-c", PASS, str(home.config))
    assert process.ended() == 0, process.tail()
    grown_mb = int(process.tail())
    assert grown_mb < 40
    sizes = sorted(path.stat().st_size for _, path in home.mails())
    assert sizes == sorted([len(head), *map(len, large)])
    for _, path in home.mails():
        assert path.stat().st_size == len(head) or path.read_bytes() in large


@pytest.mark.parametrize(
    "recipient",
    [
        "../../etc/passwd@example.com",
        "/etc/passwd@example.com",
        "..@example.com",
        "a/../../b@example.com",
    ],
)
def test_a_recipient_like_a_path_is_the_default_mailboxs(
    home: Home, s3: S3Double, recipient: str
) -> None:
    block = ses_header("m", "c@sender.example", recipient, RECEIVED_AT, spam="PASS", virus="PASS")
    s3.put("incoming/m", block + b"Subject: x\r\n\r\n")
    before = tree(home.root.parent)
    assert home.sync()[0] == 0
    assert [str(place) for place, _ in home.mails()] == ["anna"]
    new = {path.relative_to(home.root).parts[:2] for path in tree(home.root.parent) - before}
    assert {parts for parts in new if parts[0] == "mail"} == {("mail",), ("mail", "anna")}


def test_one_bad_object_holds_back_no_other(home: Home, s3: S3Double) -> None:
    encrypted = {"x-amz-meta-x-amz-key-v2": "k"}
    s3.put("incoming/0-encrypted", b"?", headers=encrypted)
    s3.put("incoming/1-archived", b"old", storage_class="DEEP_ARCHIVE")
    s3.put("incoming/2-wrong-md5", b"Subject: x\r\n\r\n", etag="0" * 32)
    s3.put("incoming/3-marker/", b"")
    s3.put("incoming/AMAZON_SES_SETUP_NOTIFICATION", b"Subject: hello\r\n\r\n")
    good = letter("good")
    put(s3, good)
    code, said = home.sync()
    assert code == 1
    counts = {k: said[k] for k in ("quarantined", "archived", "failed", "skipped", "delivered")}
    expected = {"quarantined": 1, "archived": 1, "failed": 1, "skipped": 2, "delivered": 1}
    assert counts == expected
    assert home.contents() == Counter(good.expected())
    assert home.drafts() == []
    status = home.status()
    [encrypted_one] = status["quarantine"]
    assert "KMS key" in encrypted_one["problem"]
    [waiting] = status["waiting"]
    assert "MD5 is not its ETag" in waiting["problem"]
