"""Real Dovecots, 2.3 and 2.4, serve from what the verb wrote."""

from __future__ import annotations

import imaplib
import ssl
import subprocess
import unicodedata

import pytest
from imapclient.exceptions import LoginError

from postamt_sync.host.dovecot.passwd_files import LONGEST
from tests.end_to_end.home import wait_until
from tests.host.served import PASSWORDS, Served, trusting

pytestmark = [pytest.mark.dovecot, pytest.mark.timeout(600)]

MAIL = b"From: a@sender.example\r\nSubject: x\r\n\r\nraw \xff \xc3\xa4 and a bare \r in it\r\n"


def test_a_person_logs_in_by_name_or_by_any_address(home: Served) -> None:
    home.deliver("anna", "", MAIL)
    for login in ("anna", "Anna@Example.com", "anna.a@example.org"):
        with home.client(login, PASSWORDS["anna"]) as client:
            last = client.select_folder("INBOX")[b"EXISTS"]
            assert client.fetch(last, ["BODY.PEEK[]"])[last][b"BODY[]"] == MAIL
    with home.client("bruno", PASSWORDS["bruno"]) as client:
        assert client.select_folder("INBOX")[b"EXISTS"] == 0


ODD_LOGINS = [
    *("O'Neil@Example.com", "b+r=u/n~o{1}@example.com", "%u|`?!#$&*^_@example.com"),
    *("b@xn--mller-kva.example", "b@müller.example", "B@MÜLLER.EXAMPLE"),
    *("b@müller.example", "b@Müller.example"),
]


def test_an_address_with_any_sign_and_in_any_script_is_a_login(home: Served) -> None:
    assert [login for login in ODD_LOGINS if not home.lets_in(login, PASSWORDS["bruno"])] == []
    assert not home.lets_in("o'neil@example.com", PASSWORDS["anna"])


@pytest.mark.parametrize(
    "login", ["any.thing+x@example.com", "o'x@EXAMPLE.com", "x@example.org", "y@müller.example"]
)
def test_what_autoconfig_has_people_type_is_a_login(home: Served, login: str) -> None:
    """Every address of the domains in it, that is: of a whole domain, or of the default mailbox."""
    with home.client(login, PASSWORDS["anna"]) as client:
        client.select_folder("INBOX")
    assert not home.lets_in(login, PASSWORDS["bruno"])
    assert not home.lets_in(login, "")


def test_a_password_opens_in_every_form_and_no_longer_one_does(home: Served) -> None:
    odd = "u\u0308\u00fc\u212b"  # as nobody types it, but someone may paste it
    forms = [odd, *(unicodedata.normalize(form, odd) for form in ("NFC", "NFD"))]
    room = LONGEST - max(len(form.encode()) for form in forms)
    passwords = [form + "x" * room for form in forms]
    assert len(set(passwords)) == 3
    change = ("dovecot", "user", "passwd", "anna", "--directory", str(home.directory))
    home.type(*change, stdin=f"{passwords[0]}\n")
    try:
        for password in passwords:
            wait_until(lambda password=password: home.lets_in("anna", password))  # type: ignore[misc]
            assert not home.lets_in("anna", password + "x")
        assert not home.lets_in("anna", PASSWORDS["anna"])
    finally:
        home.type(*change, stdin=f"{PASSWORDS['anna']}\n")
    wait_until(lambda: home.lets_in("anna", PASSWORDS["anna"]))
    assert not [password for password in passwords if home.lets_in("anna", password)]


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("anna/nfd", PASSWORDS["anna"]),
        ("bruno/nfd", unicodedata.normalize("NFD", PASSWORDS["bruno"])),
        ("bruno/NFD", unicodedata.normalize("NFD", PASSWORDS["bruno"])),
        ("bruno@example.com", PASSWORDS["anna"]),
        ("o'neil@example.com\n", PASSWORDS["bruno"]),
        ("x@sub.example.com", PASSWORDS["anna"]),
        ("x@nowhere.example", PASSWORDS["anna"]),
        ("anna", PASSWORDS["bruno"]),
        ("anna", ""),
        ("anna@example.com", ""),
        ("anna@example.com", "wrong"),
        ("zoe", PASSWORDS["anna"]),
        ("example.com", PASSWORDS["anna"]),
        ("*", PASSWORDS["anna"]),
    ],
)
def test_nobody_else_gets_in(home: Served, login: str, password: str) -> None:
    with pytest.raises(LoginError), home.client(login, password):
        pass


def test_nothing_is_said_without_tls(home: Served) -> None:
    with pytest.raises((OSError, imaplib.IMAP4.error)):
        imaplib.IMAP4("127.0.0.1", home.imaps, timeout=3)
    with pytest.raises(ssl.SSLError):
        imaplib.IMAP4_SSL("127.0.0.1", home.imaps, ssl_context=ssl.create_default_context())
    with imaplib.IMAP4_SSL("localhost", home.imaps, ssl_context=trusting(home.base)) as client:
        assert "AUTH=PLAIN" in client.capabilities


def test_folders_with_their_meanings_and_junk_where_we_deliver_it(home: Served) -> None:
    home.deliver("bruno", "Junk", MAIL)
    with home.client("bruno", PASSWORDS["bruno"]) as client:
        folders = {name: set(flags) for flags, _, name in client.list_folders()}
        for name in ("Drafts", "Sent", "Junk", "Trash", "Archive"):
            assert f"\\{name}".encode() in folders[name]
        subscribed = {name for _, _, name in client.list_sub_folders()}
        assert {"INBOX", "Junk", "Quarantine"} <= subscribed | {"INBOX"}
        assert client.select_folder("INBOX")[b"EXISTS"] == 0
        assert client.select_folder("Junk")[b"EXISTS"] == 1


def test_an_idling_client_sees_a_delivery(home: Served) -> None:
    with home.client("anna", PASSWORDS["anna"]) as client:
        before = client.select_folder("INBOX")[b"EXISTS"]
        client.idle()
        home.deliver("anna", "", MAIL)
        heard: list[object] = []
        while (before + 1, b"EXISTS") not in heard:
            news = client.idle_check(timeout=30)
            assert news, f"no word of the mail, only {heard}"
            heard += news
        client.idle_done()


def test_flags_and_moves_survive_a_restart(home: Served) -> None:
    for _ in range(2):
        home.deliver("anna", "", MAIL)
    with home.client("anna", PASSWORDS["anna"]) as client:
        last = client.select_folder("INBOX")[b"EXISTS"]
        client.add_flags(last - 1, [b"\\Seen", b"\\Flagged", b"$Invoice"])
        client.move(last, "Archive")
    home.stop()
    home.start()
    with home.client("anna", PASSWORDS["anna"]) as client:
        assert client.select_folder("INBOX")[b"EXISTS"] == last - 1
        flags = client.get_flags(last - 1)[last - 1]
        assert {b"\\Seen", b"\\Flagged", b"$Invoice"} <= set(flags)
        assert client.select_folder("Archive")[b"EXISTS"] == 1
        assert client.fetch(1, ["BODY.PEEK[]"])[1][b"BODY[]"] == MAIL
    assert "Error" not in home.log


def test_a_new_password_counts_without_a_restart(home: Served) -> None:
    change = ("dovecot", "user", "passwd", "anna", "--directory", str(home.directory))
    shown = home.type(*change, "--generate").rstrip().rpartition(" ")[2]
    wait_until(lambda: home.lets_in("anna", shown))
    with home.client("anna", shown) as client:
        client.select_folder("INBOX")
    with pytest.raises(LoginError), home.client("anna", PASSWORDS["anna"]):
        pass
    with home.client("bruno", PASSWORDS["bruno"]) as client:
        client.select_folder("INBOX")
    home.type(*change, stdin=f"{PASSWORDS['anna']}\n")
    wait_until(lambda: home.lets_in("anna", PASSWORDS["anna"]))


def test_dovecot_itself_finds_nothing_wrong_with_it(home: Served) -> None:
    conf = str(home.directory / "dovecot.conf")
    checked = subprocess.run(
        [*home.machine.inside(home.base), "doveconf", "-n", "-c", conf],
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stderr == ""
