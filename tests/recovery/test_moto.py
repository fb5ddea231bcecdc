"""Restoring through moto, which gives an archived object out at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from postamt_sync.app.recovery_components import make_restore
from postamt_sync.app.sync import SyncRun
from postamt_sync.bucket import Bucket
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.recovery.difference import DifferenceKind
from postamt_sync.recovery.verify import Comparison
from tests.doubles.inbox import MemoryLog
from tests.doubles.s3 import session_for
from tests.support import household

pytestmark = pytest.mark.slow

REGION = "eu-west-1"


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def test_archived_mail_comes_home(endpoint: str, tmp_path: Path) -> None:
    name = f"mail-{uuid.uuid4()}"
    session = session_for(endpoint, "AKIAMOTO", "secret")
    client = session.client("s3", region_name=REGION)
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    for number, storage_class in enumerate(("GLACIER", "DEEP_ARCHIVE", "STANDARD")):
        body = f"To: anna@example.com\r\nSubject: {number}\r\n\r\n".encode()
        client.put_object(
            Bucket=name,
            Key=f"incoming/{number}",
            Body=body,
            StorageClass=storage_class,  # type: ignore[arg-type]
        )
    settings = household.settings(tmp_path, bucket=name)
    events = Events(MemoryLog())
    result = await SyncRun(settings, events, Bucket(name, REGION, session=session)).run()
    assert (result.totals.delivered, result.totals.archived) == (1, 2)
    with closing(Ledger.open_existing(settings.state_dir)) as ledger:
        async with Bucket(name, REGION, session=session) as bucket:
            found = await Comparison(settings, ledger, bucket).run()
            assert {d.kind for d in found} == {DifferenceKind.ARCHIVED}
            progress = await make_restore(settings, ledger, bucket, client, events).run(
                found, "Bulk", 2
            )
            assert (progress.wanted, progress.asked, progress.delivered) == (2, 2, 2)
            assert await Comparison(settings, ledger, bucket).run() == []
    assert len(list((tmp_path / "anna" / "new").iterdir())) == 3
