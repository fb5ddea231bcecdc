"""Real Dovecots name the folders that an option may name, however mail comes into them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from postamt_sync.config.folder import normalised_folder
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.lmtp import Lmtp, Spool
from postamt_sync.errors import TryLaterError
from postamt_sync.host.dovecot.description import Version
from tests.host.machines import Machine
from tests.host.served import PASSWORDS, Served, household

pytestmark = [pytest.mark.dovecot, pytest.mark.timeout(600)]

MAIL = b"From: a@sender.example\r\nSubject: x\r\n\r\nhello\r\n"
ASCII = [
    *("[Spam]", "50%", "a%u", "%{user}", "*", "a*b", 'a"b', "a\\b", "R&D", "a.~x", "x~", "{x}"),
    *("#x", "$x", "<x>", "a@b", "a+b", "it's", "a, b; c: d", "(x)", "!x", "|", "`id`", "a  b"),
    *("cur", "new", "tmp", "INBOX.Spam", "inbox.Other", "INBOX.INBOX", "Inboxes", "x" * 80),
    *("=x", "-", "^", "?", ".".join("abcdefghij" * 4)),
]
BEYOND = ["M\u00fcll", "Mu\u0308ll", "\u53f0\u5317.\U0001f4ee", "\u00fc" * 74, "\u0131nbox"]
CONFIGURED = {"junk_folder": "50% [Spam]", "virus_folder": "%{env:PATH}", "dmarc_folder": 'a"b'}


@pytest.fixture(scope="module")
def served(machine: Machine) -> Iterator[Served]:
    if not machine.has("lmtp"):
        pytest.skip("no LMTP: sudo apt install dovecot-lmtpd")
    with household(machine) as home:
        folders = "".join(f"{option} = '{name}'\n" for option, name in CONFIGURED.items())
        delivery = f'[delivery]\nlmtp = "{home.base}/lmtp"\n{folders}'
        text = home.config.read_text().replace("[[mailboxes]]", f"{delivery}[[mailboxes]]", 1)
        home.config.write_text(text + 'delivery = "lmtp"\n')
        home.write()
        home.start()
        yield home


def exists(client: IMAPClient, folder: str) -> int:
    return int(client.select_folder(folder, readonly=True)[b"EXISTS"])


def as_listed(option: str) -> str:
    """Return how a client names the folder of an option."""
    return normalised_folder(option).replace(".", "/")


def hand_over(home: Served, tmp_path: Path, folder: str) -> None:
    """Give Dovecot a mail for Bruno, as the courier does."""
    spool = Spool(tmp_path, Disk(), Lmtp(f"{home.base}/lmtp"), "bruno@example.com")
    spool.create()
    draft = spool.begin("stem")
    draft.write(MAIL)
    draft.finish(1_700_000_000)
    spool.publish("stem", folder, "name")


def test_what_we_put_into_a_maildir_is_there(served: Served) -> None:
    folders = [as_listed(option) for option in (*ASCII, *BEYOND)]
    for folder in folders:
        served.deliver("anna", folder, MAIL)
    with served.client("anna", PASSWORDS["anna"]) as client:
        assert {f: exists(client, f) for f in folders} == dict.fromkeys(folders, 1)
        assert set(folders) <= {name for _, _, name in client.list_folders()}
        assert set(folders) <= {name for _, _, name in client.list_sub_folders()}
        assert exists(client, "INBOX") == 0


def test_what_we_hand_over_is_there_and_not_in_the_inbox(served: Served, tmp_path: Path) -> None:
    folders = [as_listed(option) for option in ASCII]
    for folder in folders:
        hand_over(served, tmp_path, folder)
    with served.client("bruno", PASSWORDS["bruno"]) as client:
        assert {f: exists(client, f) for f in folders} == dict.fromkeys(folders, 1)
        assert exists(client, "INBOX") == 0


def test_what_is_not_ascii_is_never_in_the_inbox(served: Served, tmp_path: Path) -> None:
    """The configuration refuses it with LMTP; a mail may be on its way from before."""
    takes_it = served.machine.version is not Version.V2_3
    for option in BEYOND:
        folder = as_listed(option)
        refused = pytest.raises(TryLaterError, match="501")
        with contextlib.nullcontext() if takes_it else refused:
            hand_over(served, tmp_path, folder)
        with served.client("bruno", PASSWORDS["bruno"]) as client:
            assert not takes_it or exists(client, folder) == 1
            assert exists(client, "INBOX") == 0


@pytest.mark.parametrize("folder", ["~x", "~", "~/x"])
def test_what_is_refused_dovecot_cannot_name(served: Served, folder: str) -> None:
    with served.client("bruno", PASSWORDS["bruno"]) as client:
        with pytest.raises(IMAPClientError, match="Begins with '~'"):
            client.select_folder(folder)
        with pytest.raises(IMAPClientError):
            client.create_folder(folder)


def test_the_configured_folders_have_their_meaning(served: Served) -> None:
    with served.client("bruno", PASSWORDS["bruno"]) as client:
        folders = {name: set(flags) for flags, _, name in client.list_folders()}
    assert b"\\Junk" in folders[CONFIGURED["junk_folder"]]
    assert not [name for name in folders if "/sbin" in name]
