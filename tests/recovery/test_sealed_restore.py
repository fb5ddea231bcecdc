"""Sealed mail brought back by a real gpg, whose key has a passphrase that a person would type."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pysequoia
import pytest

from postamt_sync.app.components import make_courier
from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.app.recovery_components import make_restore
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.recovery import sealed_restore, unsealing
from postamt_sync.recovery.gpg import NoSecretKeyError, NotOpenedError
from postamt_sync.recovery.restore import RestoreProgress
from postamt_sync.recovery.unsealing import MOST_AT_ONCE
from postamt_sync.recovery.verify import Comparison
from tests.doubles.s3 import S3Double
from tests.recovery.box import LONG_AGO, Box
from tests.support.gpg import Gpg, has_gpg
from tests.support.sealing import seal, sealed_key

pytestmark = [pytest.mark.gpg, has_gpg]

PINENTRY = """#!/bin/sh
echo asked >>"{log}"
echo "OK"
while read -r word rest; do
    case "$word" in
        GETPIN) {answer} ;;
        BYE) echo "OK"; exit 0 ;;
        *) echo "OK" ;;
    esac
done
"""
TYPES = 'echo "D open sesame"; echo "OK"'
CANCELS = 'echo "ERR 83886179 canceled <Pinentry>"'


class Owner:
    """Someone with a key under a passphrase, and a pinentry that counts how often it asks."""

    def __init__(self) -> None:
        self.gpg = Gpg()
        self.log = self.gpg.home / "asked"
        # The agent derives a key from the passphrase each time; by default that takes it a while.
        self.gpg.tell_agent("s2k-count 65536\n")
        words = ("future-default", "default", "2y")
        self.gpg("--passphrase=open sesame", "--quick-gen-key", "owner <owner@example.com>", *words)
        self._cert = pysequoia.Cert.from_bytes(self.gpg.public("owner"))
        self.types()

    def types(self, answer: str = TYPES) -> None:
        """Let whoever sits there answer so; what the agent remembers is forgotten."""
        pinentry = self.gpg.home / "pinentry"
        pinentry.write_text(PINENTRY.format(log=self.log, answer=answer))
        pinentry.chmod(0o700)
        self.gpg.tell_agent(f"pinentry-program {pinentry}\n")
        self.log.unlink(missing_ok=True)

    def asked(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def encrypt(self, plain: bytes) -> bytes:
        sealed: bytes = pysequoia.encrypt(plain, recipients=[self._cert], armor=False)
        return sealed


@pytest.fixture(scope="module")
def made() -> Iterator[Owner]:
    owner = Owner()
    yield owner
    owner.gpg.close()


@pytest.fixture
def owner(made: Owner) -> Owner:
    made.types()
    return made


@pytest.fixture(autouse=True)
def sealing(box: Box) -> None:
    configured = box.config.read_text()
    box.config.write_text(f'{configured}\n[seal]\nkeys = ["owner.asc"]\n')


class KilledError(Exception):
    """The process is no more."""


async def restore(
    box: Box,
    owner: Owner,
    only: str = "",
    environ: dict[str, str] | None = None,
    watch: Callable[[RestoreProgress], None] = lambda _: None,
) -> RestoreProgress:
    client = box.s3.session().client("s3", region_name=box.s3.region)
    with closing(Ledger.open_existing(box.state)) as ledger:
        async with box.bucket() as bucket:
            found = await Comparison(box.settings, ledger, bucket).run(only)
            work = make_restore(
                box.settings,
                ledger,
                bucket,
                client,
                Events(box.log),
                watch,
                sleep=lambda _: asyncio.sleep(0.02),
                environ=environ or owner.gpg.environ,
            )
            return await work.run(found, "Bulk", 3)


def left_behind(box: Box) -> list[str]:
    return sorted(path.name for path in (box.state / "unsealed").glob("*"))


def keys(*names: str) -> list[str]:
    return [f"incoming/{name}" for name in names]


async def never_at_home(box: Box, owner: Owner, *names: str) -> dict[str, bytes]:
    """Let mail come and be sealed without this box; return what it was."""
    box.put(*names)
    bodies = {name: box.s3.objects[f"incoming/{name}"].body for name in names}
    seal(box.s3, *keys(*names), encrypt=owner.encrypt)
    await box.sync()
    return bodies


async def test_what_was_lost_at_home_comes_back_byte_for_byte(box: Box, owner: Owner) -> None:
    box.put("a", "b", "c")
    await box.sync()
    bodies = {name: paths[0].read_bytes() for name, paths in box.files().items()}
    seal(box.s3, *keys("a", "b"), encrypt=owner.encrypt)
    for paths in box.files().values():
        paths[0].unlink()
    progress = await restore(box, owner)
    assert (progress.wanted, progress.delivered, progress.failed) == (3, 3, 0)
    files = box.files()
    assert {name: paths[0].read_bytes() for name, paths in files.items()} == bodies
    assert {paths[0].stat().st_mtime for paths in files.values()} == {
        LONG_AGO + n for n in range(3)
    }
    assert owner.asked() == 1
    assert left_behind(box) == []
    await box.sync()
    assert box.counts() == {"a": 1, "b": 1, "c": 1}
    assert box.states() == {"delivered": 3}


async def test_what_was_never_at_home_comes(box: Box, owner: Owner) -> None:
    bodies = await never_at_home(box, owner, "a", "b")
    assert box.states() == {"sealed": 2}
    progress = await restore(box, owner)
    assert (progress.wanted, progress.delivered) == (2, 2)
    assert {n: p[0].read_bytes() for n, p in box.files().items()} == bodies
    assert box.states() == {"delivered": 2}


@pytest.mark.slow
async def test_many_mails_ask_once(box: Box, owner: Owner) -> None:
    """More than gpg is given at once, and than that twice."""
    many = 2 * MOST_AT_ONCE + 50
    names = [f"n{number:04}" for number in range(many)]
    await never_at_home(box, owner, *names)
    progress = await restore(box, owner)
    assert (progress.wanted, progress.delivered, progress.failed) == (many, many, 0)
    assert owner.asked() == 1
    assert box.counts() == dict.fromkeys(names, 1)
    assert left_behind(box) == []


async def test_whoever_does_not_let_gpg_is_asked_once_and_nothing_is_lost(
    box: Box, owner: Owner
) -> None:
    bodies = await never_at_home(box, owner, "a", "b", "c")
    owner.types(CANCELS)
    with pytest.raises(NotOpenedError):
        await restore(box, owner)
    assert owner.asked() == 1
    assert box.states() == {"sealed": 3}
    assert left_behind(box) == []
    owner.types()
    await restore(box, owner)
    assert {n: p[0].read_bytes() for n, p in box.files().items()} == bodies


async def test_without_the_key_it_says_which_and_where_else(box: Box, owner: Owner) -> None:
    await never_at_home(box, owner, "a")
    with (
        closing(Gpg()) as stranger,
        pytest.raises(NoSecretKeyError, match="no secret key") as told,
    ):
        await restore(box, owner, environ=stranger.environ)
    assert "unseal" in told.value.hint
    assert box.states() == {"sealed": 1}


async def test_without_gpg_it_says_so(box: Box, owner: Owner, tmp_path: Path) -> None:
    await never_at_home(box, owner, "a")
    with pytest.raises(MisconfiguredError, match="gpg is not installed"):
        await restore(box, owner, environ={**owner.gpg.environ, "PATH": str(tmp_path)})
    assert box.states() == {"sealed": 1}


def changed(body: bytes) -> bytes:
    return body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]


DAMAGE: dict[str, Callable[[S3Double, str], object]] = {
    "changed": lambda s3, key: put_again(s3, key, changed(s3.objects[key].body)),
    "cut": lambda s3, key: put_again(s3, key, s3.objects[key].body[:-20]),
    "no message at all": lambda s3, key: put_again(s3, key, b"?"),
    "empty": lambda s3, key: put_again(s3, key, b""),
    "of another mail": lambda s3, key: put_again(
        s3, key, s3.objects[key].body, {"x-amz-meta-sha256": "0" * 64}
    ),
    "without its SHA-256": lambda s3, key: put_again(s3, key, s3.objects[key].body, {}),
}


def put_again(s3: S3Double, key: str, body: bytes, headers: dict[str, str] | None = None) -> None:
    s3.put(key, body, headers=s3.objects[key].headers if headers is None else headers)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_one_that_cannot_be_opened_holds_back_no_other(
    box: Box, owner: Owner, damage: Callable[[S3Double, str], object]
) -> None:
    await never_at_home(box, owner, "a", "b", "c")
    damage(box.s3, next(key for key in box.s3.objects if key.startswith("sealed/b/")))
    progress = await restore(box, owner)
    assert (progress.delivered, progress.failed) == (2, 1)
    assert box.counts() == {"a": 1, "c": 1}
    assert box.states() == {"delivered": 2, "sealed": 1}
    assert left_behind(box) == []


async def test_one_key_brings_one_mail(box: Box, owner: Owner) -> None:
    await never_at_home(box, owner, "a", "b")
    await restore(box, owner, "incoming/b")
    assert box.counts() == {"b": 1}
    assert box.states() == {"delivered": 1, "sealed": 1}


async def test_a_daemon_that_runs_delivers_it(box: Box, owner: Owner) -> None:
    await never_at_home(box, owner, "a", "b")
    with CourierLock(box.state, "run"), closing(Ledger.open_existing(box.state)) as ledger:
        async with open_bucket(box.settings, box.s3.session()) as bucket:
            courier = make_courier(box.settings, ledger, bucket, Events(box.log))
            daemon = asyncio.create_task(courier.run())
            progress = await restore(box, owner)
            daemon.cancel()
            await asyncio.gather(daemon, return_exceptions=True)
    assert progress.delivered == 2
    assert box.counts() == {"a": 1, "b": 1}
    assert left_behind(box) == []


async def test_what_a_killed_restore_left_behind_is_in_nobody_s_way(box: Box, owner: Owner) -> None:
    bodies = await never_at_home(box, owner, "a")
    place = box.state / "unsealed"
    place.mkdir()
    (place / "sealed-0.gpg").write_bytes(b"half")
    (place / "sealed-0").write_bytes(b"half")
    progress = await restore(box, owner)
    assert progress.delivered == 1
    assert box.files()["a"][0].read_bytes() == bodies["a"]
    assert left_behind(box) == []


async def test_a_mailbox_that_takes_nothing_holds_back_no_other(box: Box, owner: Owner) -> None:
    """In this restore nor in the next, and what was opened for it is not opened again."""
    await never_at_home(box, owner, "a")
    box.put("b", to="bruno", since=10)
    seal(box.s3, "incoming/b", encrypt=owner.encrypt)
    await box.sync()
    (box.root / "bruno").write_text("in the place of a Maildir")
    progress = await restore(box, owner)
    assert (progress.delivered, progress.failed) == (1, 1)
    assert len(left_behind(box)) == 1
    await never_at_home(box, owner, "c")
    gets = box.s3.gets
    progress = await restore(box, owner)
    assert (box.counts(), progress.failed) == ({"a": 1, "c": 1}, 1)
    assert box.s3.gets - gets == 2, "of c alone, of which nothing else is there"
    assert len(left_behind(box)) == 1


async def test_much_that_cannot_be_delivered_fills_no_disk(
    box: Box, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.put("a", "b", "c", to="bruno")
    seal(box.s3, *keys("a", "b", "c"), encrypt=owner.encrypt)
    await box.sync()
    (box.root / "bruno").write_text("in the place of a Maildir")
    monkeypatch.setattr(unsealing, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(sealed_restore, "MOST_OPENED", 60)
    with pytest.raises(TryLaterError, match="2 opened mails could not be delivered yet"):
        await restore(box, owner)
    assert len(left_behind(box)) == 2


@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5])
async def test_one_that_was_ended_anywhere_goes_on(box: Box, owner: Owner, calls: int) -> None:
    """Ended as by a kill: what lies there stays, and nothing is told."""
    bodies = await never_at_home(box, owner, "a", "b")
    watched = iter(range(calls))

    def watch(_: RestoreProgress) -> None:
        if next(watched, None) is None:
            raise KilledError

    with suppress(KilledError):
        await restore(box, owner, watch=watch)
    await restore(box, owner)
    await box.sync()
    assert {n: p[0].read_bytes() for n, p in box.files().items()} == bodies
    assert box.counts() == {"a": 1, "b": 1}
    assert box.states() == {"delivered": 2}


async def test_a_plain_object_that_is_there_goes_before(box: Box, owner: Owner) -> None:
    box.put("a")
    await box.sync()
    box.files()["a"][0].unlink()
    seal(box.s3, "incoming/a", encrypt=owner.encrypt, keep=True)
    assert (await restore(box, owner)).delivered == 1
    assert owner.asked() == 0


@pytest.mark.slow
async def test_sealed_mail_comes_back_out_of_an_archive(box: Box, owner: Owner) -> None:
    box.put("a")
    plain = box.s3.objects["incoming/a"]
    seal(box.s3, "incoming/a", encrypt=owner.encrypt, storage_class="DEEP_ARCHIVE")
    await box.sync()
    assert (await restore(box, owner)).delivered == 1
    assert sealed_key("incoming/a", plain) in box.s3.restores
    assert box.counts() == {"a": 1}


@pytest.mark.slow
async def test_what_cannot_be_opened_out_of_an_archive_is_not_waited_for(
    box: Box, owner: Owner
) -> None:
    box.put("a")
    seal(box.s3, "incoming/a", storage_class="DEEP_ARCHIVE")
    await box.sync()
    async with asyncio.timeout(60):
        progress = await restore(box, owner)
    assert (progress.delivered, progress.failed) == (0, 1)
    assert box.states() == {"sealed": 1}
    assert left_behind(box) == []
