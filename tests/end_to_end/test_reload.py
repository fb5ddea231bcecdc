"""Changes while mail flows: configuration and certificate, by themselves and by hand."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.doubles.s3 import S3Double
from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.end_to_end.home import BRUNO, Home, Running
from tests.end_to_end.letters import Letter, letter, put
from tests.end_to_end.webhooks import Reachable, reachable, shown_certificate
from tests.support.household import mailbox

CAROL = mailbox("carol", "{root}/mail/carol")


@pytest.fixture
async def household(tmp_path: Path, s3: S3Double) -> AsyncIterator[Reachable]:
    async with reachable(tmp_path, s3.environment()) as home:
        yield home


def write(home: Home, text: str) -> None:
    """Replace the file in one go, as a careful editor does."""
    scratch = home.root / "edited"
    scratch.write_text(text)
    scratch.replace(home.config)


def without_bruno(home: Home) -> str:
    return home.config.read_text().partition('[[mailboxes]]\nname = "bruno"')[0]


def look(daemon: Running) -> None:
    """Let it look into the bucket now, by hand."""
    before = len(daemon.events("reloaded"))
    daemon.signal(signal.SIGHUP)
    daemon.until("reloaded", count=before + 1)


def test_a_new_mailbox_gets_its_mail_without_a_restart(home: Home, s3: S3Double) -> None:
    home.maildirs["carol"] = home.root / "mail" / "carol"
    daemon = home.start()
    daemon.until("looked", source="reconcile")
    home.configure(CAROL.format(root=home.root))
    daemon.until("reloaded", what="configuration")
    carols = Letter("incoming/c", b"To: carol@example.com\r\n\r\n", ("carol",))
    put(s3, carols)
    look(daemon)
    daemon.until("delivered", mailbox="carol")
    assert daemon.stop() == 0
    assert home.contents() == Counter(carols.expected())


async def test_only_a_person_takes_a_mailbox_away(household: Reachable, s3: S3Double) -> None:
    daemon = household.start()
    await asyncio.to_thread(daemon.until, "looked", source="reconcile")
    whole = household.config.read_text()
    # A later change of the file does not forget whom an earlier one left out.
    for count, text in enumerate((without_bruno(household), without_bruno(household) + "\n"), 1):
        write(household, text)
        await asyncio.to_thread(daemon.until, "reloaded", count=count)
    kept = daemon.events("no longer in the configuration, kept until SIGHUP or restart")
    assert [line["mailbox"] for line in kept] == ["bruno", "bruno"]
    first, second, third = (letter(name, BRUNO) for name in ("first", "second", "third"))

    put(s3, first)
    assert await household.announce(first.key, BRUNO) == 200
    await asyncio.to_thread(daemon.until, "delivered", mailbox="bruno")
    await asyncio.to_thread(look, daemon)
    put(s3, second)
    assert await household.announce(second.key, BRUNO) == 200
    await asyncio.to_thread(daemon.until, "delivered", mailbox="anna")
    write(household, whole)
    await asyncio.to_thread(daemon.until, "reloaded", count=4)
    put(s3, third)
    assert await household.announce(third.key, BRUNO) == 200
    await asyncio.to_thread(daemon.until, "delivered", mailbox="bruno", count=2)
    assert await asyncio.to_thread(daemon.stop) == 0
    wanted = {("bruno", first.body): 1, ("anna", second.body): 1, ("bruno", third.body): 1}
    assert household.contents() == wanted


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_broken_configuration_is_refused_and_mail_goes_on(
    home: Home, s3: S3Double, by_hand: bool
) -> None:
    daemon = home.start()
    daemon.until("looked", source="reconcile")
    whole = home.config.read_text()
    write(home, whole.replace('region = "eu-west-1"', "region = 1\nzone = 2"))
    refused = daemon.until("not reloaded, going on with the old")
    assert refused["what"] == "configuration"
    assert any(reason.startswith("aws.region:") for reason in refused["reasons"])
    assert any(reason.startswith("aws.zone:") for reason in refused["reasons"])
    brunos = letter("brunos", BRUNO)
    put(s3, brunos)
    if by_hand:
        daemon.signal(signal.SIGHUP)
        daemon.until("not reloaded, going on with the old", count=2)
    else:
        write(home, whole)
        look(daemon)
    daemon.until("delivered", mailbox="bruno")
    assert daemon.stop() == 0


def test_half_a_file_takes_nothing_away(home: Home, s3: S3Double) -> None:
    """Half of a file that is being saved may parse too: here it ends before Bruno's table."""
    daemon = home.start()
    daemon.until("looked", source="reconcile")
    whole = home.config.read_text()
    home.config.write_text(without_bruno(home))
    daemon.until("reloaded", what="configuration")
    home.config.write_text(whole)
    daemon.until("reloaded", what="configuration", count=2)
    brunos = letter("brunos", BRUNO)
    put(s3, brunos)
    look(daemon)
    daemon.until("delivered", mailbox="bruno")
    assert daemon.stop() == 0
    assert home.contents() == Counter(brunos.expected())


def test_what_needs_a_restart_is_said(home: Home) -> None:
    daemon = home.start()
    daemon.until("started")
    write(home, home.config.read_text().replace('name = "mail"', 'name = "other"'))
    said = daemon.until("changed, but takes effect at the next start only")
    assert said["sections"] == ["bucket"]
    assert daemon.stop() == 0


# The certificate


class Pair:
    """A certificate and its key, as a renewal tool puts them into place."""

    def __init__(self, home: Reachable) -> None:
        self.certificate = home.root / "tls" / "fullchain.pem"
        self.key = home.root / "tls" / "privkey.pem"
        self.certificate.parent.mkdir()

    def renew(self, number: int) -> bytes:
        """Replace both, one after the other; return the certificate as DER."""
        key = private_key(number)
        pem = certificate_pem(key, begins=-dt.timedelta(days=number + 1), name="home.example.com")
        for path, content in ((self.key, key_pem(key)), (self.certificate, pem)):
            scratch = path.with_suffix(".new")
            scratch.write_bytes(content)
            scratch.replace(path)
        return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


async def test_a_new_certificate_drops_no_open_connection(household: Reachable) -> None:
    pair = Pair(household)
    first = pair.renew(1)
    household.configure_tls(pair.certificate, pair.key)
    daemon = household.start()
    await asyncio.to_thread(daemon.until, "started")
    assert await asyncio.to_thread(shown_certificate, household.port) == first

    trusting = ssl.create_default_context(cafile=str(pair.certificate))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", household.port, ssl=trusting, server_hostname="home.example.com"
    )
    writer.write(b"GET /healthz HTTP/1.1\r\n")  # the rest comes under other certificates
    await writer.drain()
    second = pair.renew(2)
    await asyncio.to_thread(daemon.until, "reloaded", what="certificate")
    assert await asyncio.to_thread(shown_certificate, household.port) == second

    pair.certificate.write_text("half a certificate")
    refused = await asyncio.to_thread(daemon.until, "not reloaded, going on with the old")
    assert refused["what"] == "certificate"
    assert await asyncio.to_thread(shown_certificate, household.port) == second
    writer.write(b"Host: home.example.com\r\n\r\n")
    assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
    writer.close()
    assert await asyncio.to_thread(daemon.stop) == 0
