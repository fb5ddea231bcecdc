"""Real passes deliver into real Dovecots over LMTP, through Sieve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from postamt_sync.ledger import Ledger
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import BRUNO
from tests.end_to_end.letters import Letter, letter, letter_to_both, put, sample_letters
from tests.host.machines import Machine
from tests.host.served import PASSWORDS, Served, give, household
from tests.support.campaign import spread

pytestmark = [pytest.mark.dovecot, pytest.mark.timeout(600)]

SIEVE = """\
require ["fileinto", "mailbox"];
if header :contains "Subject" "[list]" { fileinto :create "Lists"; }
"""
KILLED = "import sys; from tests.faults.killed import main; main(*sys.argv[1:])"
SPAM = next(stored for _, stored in sample_letters() if stored.places == ("bruno/Junk",))


@dataclass
class Box:
    home: Served
    s3: S3Double

    def python(self, *argv: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "POSTAMT_SYNC_"))}
        return subprocess.run(
            [sys.executable, *argv],
            env=kept | self.s3.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def sync(self) -> tuple[int, dict[str, int]]:
        done = self.python("-m", "postamt_sync", "sync", "--json", "--config", self.config)
        return done.returncode, json.loads(done.stdout)

    def status(self) -> str:
        done = self.python("-m", "postamt_sync", "status", "--config", self.config)
        return " ".join(done.stdout.split())

    def killed(self, step: str, side: str) -> None:
        done = self.python("-c", KILLED, self.config, "sync", step, side, "1", "0")
        assert done.returncode == -signal.SIGKILL, done.stderr

    @property
    def config(self) -> str:
        return str(self.home.config)

    def folder(self, name: str) -> list[bytes]:
        """Return the mails of one of Bruno's folders as a client sees them."""
        with self.home.client("bruno", PASSWORDS["bruno"]) as client:
            if not client.folder_exists(name):
                return []
            client.select_folder(name, readonly=True)
            found = client.fetch(client.search(), ["BODY.PEEK[]"])
            return [mail[b"BODY[]"] for mail in found.values()]

    def copies(self, one: Letter, folder: str = "INBOX") -> int:
        return sum(mail.endswith(one.body) for mail in self.folder(folder))


@pytest.fixture(scope="module")
def served(machine: Machine) -> Iterator[Served]:
    if not (machine.has("lmtp") and machine.has("modules/lib90_sieve_plugin.so")):
        pytest.skip("no LMTP with Sieve: sudo apt install dovecot-lmtpd dovecot-sieve")
    with household(machine) as home:
        delivery = f'[delivery]\nenvelope_grace = 0\nlmtp = "{home.base}/lmtp"\n'
        text = home.config.read_text().replace("[[mailboxes]]", f"{delivery}[[mailboxes]]", 1)
        home.config.write_text(text + 'delivery = "lmtp"\n')
        home.write()
        # Root delivers into Maildirs of root's alone; Bruno's is Dovecot's to write.
        (home.base / "mail" / "anna" / "Maildir").mkdir(parents=True, exist_ok=True)
        os.chown(home.base / "mail" / "anna" / "Maildir", os.geteuid(), os.getegid())
        home.start()
        yield home


@pytest.fixture
def box(served: Served) -> Iterator[Box]:
    with S3Double.in_thread() as s3:
        yield Box(served, s3)


def test_dovecot_gets_it_and_puts_it_where_it_belongs(box: Box) -> None:
    inbox = letter("lmtp-inbox", BRUNO, "dots\r\n.\r\n..\r\n. x\r\nend")
    put(box.s3, inbox, SPAM)
    assert box.sync()[0] == 0
    assert box.copies(inbox) == 1
    assert box.copies(SPAM, "Junk") == 1
    assert box.copies(SPAM) == 0
    (mail,) = (mail for mail in box.folder("INBOX") if mail.endswith(inbox.body))
    added = mail[: -len(inbox.body)].lower()
    assert b"return-path: <clara@sender.example>" in added
    assert b"delivered-to: bruno@example.com" in added


def test_bare_line_feeds_and_dots_end_no_mail_early(box: Box) -> None:
    body = b"To: bruno@example.com\nSubject: lf\n\none\n.\nMAIL FROM:<x>\n.two\n"
    box.s3.put("incoming/lf", body)
    after = letter("lmtp-after-lf", BRUNO)
    put(box.s3, after)
    assert box.sync()[0] == 0, box.status()
    (mail,) = (mail for mail in box.folder("INBOX") if b"Subject: lf" in mail)
    assert mail.endswith(b"\r\n\r\none\r\n.\r\nMAIL FROM:<x>\r\n.two\r\n")
    assert box.copies(after) == 1


def test_a_sieve_script_decides(box: Box) -> None:
    home = box.home.base / "mail/b\u00fccher/dovecot"
    home.mkdir(parents=True, exist_ok=True)
    (home / ".dovecot.sieve").write_text(SIEVE)
    for place in (home.parent, home):  # whichever test comes first makes both
        give(place, box.home.settings.home.mail_user)
    listed, other = letter("[list] lmtp", BRUNO), letter("lmtp-other", BRUNO)
    put(box.s3, listed, other)
    try:
        assert box.sync()[0] == 0
    finally:
        (home / ".dovecot.sieve").unlink()
    assert (box.copies(listed, "Lists"), box.copies(listed)) == (1, 0)
    assert box.copies(other) == 1


def test_it_waits_while_dovecot_is_down_and_holds_up_nobody(box: Box) -> None:
    both = letter_to_both("lmtp-both")
    put(box.s3, both)
    box.home.stop()
    try:
        code, _ = box.sync()
        assert code == 1
        assert box.sync()[0] == 1
        assert "does not take mail" in box.status()
        anna = box.home.base / "mail/anna/Maildir/new"
        assert [path.read_bytes() for path in anna.iterdir()] == [both.body]
    finally:
        box.home.start()
    assert box.sync()[0] == 0
    assert box.copies(both) == 1
    assert box.sync()[0] == 0
    assert box.copies(both) == 1
    assert list((box.home.base / "state/lmtp/bruno/tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("step", "side"),
    spread(
        [
            ("PUBLISH", "after"),
            ("PREPARE", "after"),
            ("SETTLE", "before"),
            ("PUBLISH", "before"),
        ],
        2,
    ),
)
def test_killed_beside_the_handover_it_comes_once(box: Box, step: str, side: str) -> None:
    one = letter(f"lmtp-killed-{step}-{side}", BRUNO)
    put(box.s3, one)
    box.killed(step, side)
    assert box.sync()[0] == 0
    assert box.copies(one) == 1


def test_killed_between_the_answer_and_the_removal_it_comes_twice(box: Box) -> None:
    """The one window that LMTP leaves; this is what the documentation says of it."""
    one = letter("lmtp-window", BRUNO)
    put(box.s3, one)
    box.killed("PUBLISH", "after")
    (stem,) = _prepared(box)
    # As if power had failed: the removal that was not synced yet is undone.
    (box.home.base / "state/lmtp/bruno/tmp" / stem).write_bytes(one.body)
    assert box.sync()[0] == 0
    assert box.copies(one) == 2
    assert box.sync()[0] == 0
    assert box.copies(one) == 2


def _prepared(box: Box) -> list[str]:
    ledger = Ledger.open_existing(box.home.base / "state")
    try:
        due = ledger.work.due(1e18, 100, [])
        return [copy.stem for task in due for copy in task.deliveries if copy.name]
    finally:
        ledger.close()
