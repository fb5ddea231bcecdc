"""Taking a changed configuration or certificate over: what is taken, refused, kept."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.app.reload import Reload
from postamt_sync.config import LiveSettings, Settings, load
from postamt_sync.delivery.destinations import Destinations, LiveDestinations
from postamt_sync.events import Events
from postamt_sync.intake.webhook import WebhookTally
from postamt_sync.intake.webhook_server import WebhookServer
from postamt_sync.ledger import Ledger
from tests.doubles.inbox import MemoryInbox, MemoryLog, OneKey
from tests.doubles.ledger import copy, due, event, take
from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.support.household import head, mailbox
from tests.support.new_ledger import new_ledger

pytestmark = pytest.mark.slow

HEAD = head("{root}/state", "mail-bucket") + "[poll]\ninterval = 300\n"
ANNA = mailbox("anna", "{root}/anna", default=True)
BERT = mailbox("bert", "{root}/bert")
WEBHOOK = """
[webhook]
listen = "127.0.0.1:1"
public_url = "https://home.example.com:8443/sns"
topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"
tls_certificate = "{root}/chain.pem"
tls_key = "{root}/key.pem"
"""


@dataclass
class Running:
    """The courier and the poll, as far as a reload is concerned with them."""

    called: list[str] = field(default_factory=list)

    def wake(self) -> None:
        self.called.append("wake")

    def soon(self) -> None:
        self.called.append("soon")


@dataclass
class Home:
    root: Path
    ledger: Ledger
    log: MemoryLog = field(default_factory=MemoryLog)
    webhook_server: WebhookServer | None = None
    live: LiveSettings | None = None

    def write(self, *parts: str) -> None:
        text = "".join(parts).replace("{root}", str(self.root))
        (self.root / "config.toml").write_text(text)

    def load(self) -> Settings:
        return load(self.root / "config.toml", {})

    def start(self) -> Reload:
        if self.live is None or self.webhook_server is None:
            self.live = LiveSettings(self.load())
        self.in_force = LiveDestinations(self.live, self.ledger.work)
        self.running = Running()
        running: Any = self.running
        return Reload(
            self.live,
            self.load,
            Events(self.log),
            self.ledger,
            courier=running,
            poll=running,
            webhook_server=self.webhook_server,
        )

    @property
    def settings(self) -> Settings:
        assert self.live is not None
        return self.live.current

    @property
    def destinations(self) -> Destinations:
        return self.in_force.current()

    @property
    def names(self) -> Sequence[str]:
        return self.destinations.mailboxes.names

    def told(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, said, fields in self.log.said if said == event]


REFUSED = "not reloaded, going on with the old"
RESTART = "changed, but takes effect at the next start only"
KEPT = "no longer in the configuration, kept until SIGHUP or restart"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    ledger = new_ledger(tmp_path / "state")
    home = Home(tmp_path, ledger)
    home.write(HEAD, ANNA, BERT)
    yield home
    ledger.close()


async def test_the_heartbeat_moves_without_a_restart(home: Home) -> None:
    reload = home.start()
    url = "https://hc.example.com/5f3e"
    home.write(HEAD.replace("300", f'300\nheartbeat_url = "{url}"'), ANNA, BERT)
    await reload.file_changed()
    assert home.settings.poll.heartbeat_url == url
    assert home.told(RESTART) == []
    assert url not in str(home.log.said)


async def test_new_settings_are_taken_over(home: Home) -> None:
    reload = home.start()
    home.write(
        HEAD.replace("300", "60\nreconcile_interval = 3600"), ANNA, BERT.replace("bert", "carl")
    )
    await reload.file_changed()
    poll = home.settings.poll
    assert (poll.interval, poll.reconcile_interval) == (60, 3600)
    assert home.destinations.routes.mailboxes(["carl@example.com"]) == ("carl",)
    assert home.told("reloaded") == [{"what": "configuration"}]
    assert home.told(RESTART) == []


@pytest.mark.parametrize("broken", ["[aws", HEAD, HEAD + ANNA + ANNA, ""])
@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_broken_configuration_is_refused_with_all_reasons(
    home: Home, broken: str, by_hand: bool
) -> None:
    reload = home.start()
    before = home.destinations
    home.write(broken)
    await (reload.by_hand() if by_hand else reload.file_changed())
    assert home.destinations is before
    (refused,) = home.told(REFUSED)
    assert refused["what"] == "configuration"
    assert refused["reasons"]
    assert home.told("reloaded") == []


async def test_after_a_broken_one_a_good_one_is_taken(home: Home) -> None:
    reload = home.start()
    home.write("[aws")
    await reload.file_changed()
    home.write(HEAD, ANNA, BERT.replace("bert", "carl"))
    await reload.file_changed()
    assert "carl" in home.names


async def test_a_file_that_changed_takes_no_mailbox_away(home: Home) -> None:
    reload = home.start()
    home.write(HEAD, ANNA)
    await reload.file_changed()
    assert home.names == ("anna", "bert")
    assert home.destinations.routes.mailboxes(["bert@example.com"]) == ("bert",)
    await reload.file_changed()
    assert home.names == ("anna", "bert")
    assert home.told(KEPT) == [{"mailbox": "bert"}] * 2


async def test_a_mailbox_that_was_kept_may_come_back(home: Home) -> None:
    reload = home.start()
    home.write(HEAD, ANNA)
    await reload.file_changed()
    home.write(HEAD, ANNA, BERT.replace('["bert@', '["robert@'))
    await reload.file_changed()
    assert home.names == ("anna", "bert")
    assert home.destinations.routes.mailboxes(["bert@example.com"]) == ("anna",)
    assert len(home.told(KEPT)) == 1


async def test_a_person_takes_a_mailbox_away(home: Home) -> None:
    reload = home.start()
    home.write(HEAD, ANNA)
    await reload.by_hand()
    assert home.names == ("anna",)
    assert home.told(KEPT) == []


async def test_a_person_takes_a_kept_mailbox_away(home: Home) -> None:
    reload = home.start()
    home.write(HEAD, ANNA)
    await reload.file_changed()
    await reload.by_hand()
    assert home.names == ("anna",)
    await reload.file_changed()
    assert home.names == ("anna",)


async def test_a_person_hurries_what_failed(home: Home) -> None:
    reload = home.start()
    home.ledger.arrivals.record([event()])
    home.ledger.work.postpone(take(home.ledger), "no disk", 1e9)
    await reload.file_changed()
    assert due(home.ledger, 0.0) == []
    assert home.running.called == []
    await reload.by_hand()
    assert len(due(home.ledger, 0.0)) == 1
    assert home.running.called == ["wake", "soon"]


async def test_a_ledger_that_cannot_be_written_does_not_end_the_daemon(home: Home) -> None:
    reload = home.start()
    home.ledger.close()
    await reload.by_hand()
    assert "what waits cannot be hurried" in home.log.events("error")
    assert home.running.called == ["wake", "soon"]


async def test_mail_on_its_way_ends_at_the_old_destinations(home: Home) -> None:
    reload = home.start()
    old = home.destinations
    home.write(HEAD, ANNA)
    await reload.by_hand()
    assert old.mailboxes.names == ("anna", "bert")
    assert copy("bert").mailbox in old.mailboxes


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("state_dir", 'state_dir = "{root}/elsewhere"'),
        ("aws", '[aws]\nregion = "us-east-1"'),
        ("bucket", '[bucket]\nname = "another-bucket"'),
        ("queue", "[queue]\nlong_poll = false\n"),
        ("index", '[index]\ntable = "postamt"'),
        ("admin", '[admin]\nlisten = ""'),
        ("webhook", WEBHOOK),
    ],
)
async def test_what_takes_a_restart_is_named(home: Home, section: str, text: str) -> None:
    reload = home.start()
    lines = [line for line in HEAD.splitlines() if line]
    sections = {
        "state_dir": lines[0],
        "aws": "\n".join(lines[1:3]),
        "bucket": "\n".join(lines[3:5]),
    }
    sections[section] = text
    home.write("\n".join(sections.values()), ANNA, BERT)
    await reload.file_changed()
    (restart,) = home.told(RESTART)
    assert section in restart["sections"]
    await reload.file_changed()
    assert len(home.told(RESTART)) == 1


@pytest.mark.parametrize("tables", [("", "postamt"), ("postamt", "")])
async def test_mail_waits_for_the_index_of_the_start_and_for_no_other(
    home: Home, tables: tuple[str, str]
) -> None:
    before, after = (f'[index]\ntable = "{table}"\n' for table in tables)
    home.write(HEAD, before, ANNA, BERT)
    reload = home.start()
    home.write(HEAD, after, ANNA, BERT)
    await reload.by_hand()
    assert home.destinations.has_index is bool(tables[0])
    assert home.destinations.envelope_grace == (900 if tables[0] else 0)


# The certificate


def put_pair(root: Path, name: str, key_of: str = "") -> None:
    (root / "chain.pem").write_bytes(certificate_pem(private_key(_number(name)), name=name))
    (root / "key.pem").write_bytes(key_pem(private_key(_number(key_of or name))))


def _number(name: str) -> int:
    return len(name)


async def shown(port: int) -> str:
    """The name in the certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return "new.example.com" if b"new.example.com" in der else "old.example"


@asynccontextmanager
async def receiving(home: Home) -> AsyncIterator[int]:
    """Open the real webhook on loopback; yields its port."""
    home.write(HEAD, WEBHOOK, ANNA, BERT)
    put_pair(home.root, "old.example")
    home.live = LiveSettings(home.load())
    client: Any = None
    home.webhook_server = WebhookServer(
        home.live,
        client,
        OneKey(private_key().public_key()),
        MemoryInbox(),
        Events(home.log),
        poll_soon=lambda: None,
        health=lambda: "",
        tally=WebhookTally(),
    )
    listening = socket.create_server(("127.0.0.1", 0))
    home.webhook_server.open([listening])
    try:
        yield listening.getsockname()[1]
    finally:
        await home.webhook_server.close(0.0)


@pytest.mark.slow
async def test_trusted_proxies_are_taken_over(home: Home) -> None:
    async with receiving(home) as port:
        reload = home.start()
        proxies = 'trusted_proxies = ["127.0.0.1"]'
        home.write(HEAD, f"{WEBHOOK.rstrip()}\n{proxies}\n", ANNA, BERT)
        await reload.file_changed()
        assert home.told("reloaded")
        assert home.told("changed, but takes effect at the next start only") == []
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        while not home.told("notice refused"):
            await asyncio.sleep(0.01)
        writer.close()
        assert home.told("notice refused")[0]["peer"] == "192.0.2.1"


async def test_a_renewed_certificate_is_shown_to_new_connections(home: Home) -> None:
    async with receiving(home) as port:
        reload = home.start()
        assert await shown(port) == "old.example"
        put_pair(home.root, "new.example.com")
        await reload.file_changed()
        assert await shown(port) == "new.example.com"
        assert {"what": "certificate"} in home.told("reloaded")


@pytest.mark.parametrize("broken", ["[aws", HEAD, "", HEAD + WEBHOOK + ANNA + ANNA, "fifo", "gone"])
@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_renewed_certificate_is_shown_beside_a_broken_configuration(
    home: Home, broken: str, by_hand: bool
) -> None:
    async with receiving(home) as port:
        reload = home.start()
        put_pair(home.root, "new.example.com")
        (home.root / "config.toml").unlink()
        if broken == "fifo":
            os.mkfifo(home.root / "config.toml")
        elif broken != "gone":
            home.write(broken)
        await (reload.by_hand() if by_hand else reload.file_changed())
        assert await shown(port) == "new.example.com"
        assert [refused["what"] for refused in home.told(REFUSED)] == ["configuration"]
        assert home.told("reloaded") == [{"what": "certificate"}]


async def test_the_watch_and_the_certificate_follow_the_settings_in_force(home: Home) -> None:
    async with receiving(home) as port:
        reload = home.start()
        (home.root / "new").mkdir()
        put_pair(home.root / "new", "new.example.com")
        moved = WEBHOOK.replace("chain.pem", "new/chain.pem").replace("key.pem", "new/key.pem")
        home.write(HEAD, moved, ANNA, BERT)
        await reload.file_changed()
        assert await shown(port) == "new.example.com"
        files = [str(path.relative_to(home.root)) for path in reload.files]
        assert files == ["config.toml", "new/chain.pem", "new/key.pem"]
        put_pair(home.root / "new", "old.example")
        home.write("[aws")  # a broken one changes nothing of that
        await reload.file_changed()
        assert await shown(port) == "old.example"
        put_pair(home.root / "new", "new.example.com")
        home.write(HEAD, ANNA, BERT)  # without [webhook], which takes a restart
        await reload.file_changed()
        assert await shown(port) == "new.example.com"
        assert reload.files[1:] == [home.root / "new/chain.pem", home.root / "new/key.pem"]


async def test_what_is_served_is_known_whatever_lies_in_the_file(home: Home) -> None:
    async with receiving(home):
        reload = home.start()
        assert home.webhook_server is not None
        served = home.webhook_server.certificate
        assert served is not None
        assert served.chain == (home.root / "chain.pem").read_bytes()
        put_pair(home.root, "new.example.com", key_of="old.example")
        await reload.file_changed()
        assert home.webhook_server.certificate == served


@pytest.mark.parametrize("spoil", ["pair", "certificate", "key", "missing"])
async def test_a_broken_pair_is_refused_and_the_old_one_goes_on(home: Home, spoil: str) -> None:
    async with receiving(home) as port:
        reload = home.start()
        put_pair(home.root, "new.example.com", key_of="old.example" if spoil == "pair" else "")
        if spoil == "certificate":
            (home.root / "chain.pem").write_bytes(b"half of it")
        if spoil == "key":
            (home.root / "key.pem").write_bytes(b"")
        if spoil == "missing":
            (home.root / "key.pem").unlink()
        await reload.file_changed()
        assert await shown(port) == "old.example"
        refused = home.told(REFUSED)
        assert len(refused) == 1
        assert refused[0]["reasons"]
        put_pair(home.root, "new.example.com")
        await reload.file_changed()
        assert await shown(port) == "new.example.com"


async def test_the_files_to_be_watched_are_named(home: Home) -> None:
    reload = home.start()
    assert reload.files == [home.root / "config.toml"]
    home.write(HEAD, WEBHOOK, ANNA)
    put_pair(home.root, "old.example")
    names = [path.name for path in home.start().files]
    assert names == ["config.toml", "chain.pem", "key.pem"]


# Where the process may write


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_mailbox_where_we_may_not_write_is_refused_with_the_remedy(
    home: Home, read_only: Path, by_hand: bool
) -> None:
    reload = home.start()
    before = home.destinations
    home.write(HEAD, ANNA, BERT.replace("{root}/bert", f"{read_only}/bert"))
    await (reload.by_hand() if by_hand else reload.file_changed())
    assert home.destinations is before
    (refused,) = home.told(REFUSED)
    (reason,) = refused["reasons"]
    assert f"mailboxes[bert].maildir: {read_only}/bert is read-only" in reason
    assert "sudo postamt-sync service install" in reason


async def test_a_mailbox_in_use_whose_disk_became_read_only_keeps_nothing_back(
    home: Home, read_only: Path
) -> None:
    there = BERT.replace("{root}/bert", f"{read_only}/bert")
    home.write(HEAD, ANNA, there)
    reload = home.start()
    home.write(HEAD.replace("300", "60"), ANNA, there)
    await reload.file_changed()
    assert home.settings.poll.interval == 60
    assert home.told(REFUSED) == []
