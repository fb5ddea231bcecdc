"""The box at home: Debian, postamt-sync installed in it as the README says, an AWS of our own.

One box serves all tests of a module; each leaves the service running. The AWS is on loopback, which
the box shares with us.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.doubles.s3 import S3Double
from tests.doubles.sns import (
    TOPIC,
    CertificateServer,
    Signer,
    body,
    certificate_pem,
    key_pem,
    private_key,
    receipt,
    serving_certificate,
)
from tests.end_to_end.letters import Letter, letter
from tests.host.container import Container, booted, wait_until
from tests.host.debian import REPOSITORY, put_checkout, unpack
from tests.support.household import configuration
from tests.support.ports import reserved_port

HOST = "home.example.com"
MAIL = Path("/var/mail/vhosts/example.com")
LINEAGE = Path("/etc/letsencrypt/live", HOST)
CONFIG = Path("/etc/postamt-sync/config.toml")
UNIT, SOCKET = "postamt-sync.service", "postamt-sync.socket"

OPTIONS = """\
[delivery]
envelope_grace = 0
[admin]
listen = ""
[webhook]
listen = "127.0.0.1:{port}"
public_url = "https://{host}:{port}/sns"
topic_arn = "{topic}"
tls_certificate = "/etc/postamt-sync/tls/fullchain.pem"
tls_key = "/etc/postamt-sync/tls/privkey.pem"
"""
CREDENTIALS = """\
[default]
aws_access_key_id = {0.access_key}
aws_secret_access_key = {0.secret_key}
"""
LOCAL = """\
[Service]
Environment=AWS_ENDPOINT_URL={s3} AWS_ENDPOINT_URL_SNS={sns}
{more}
"""


def readme_install() -> list[str]:
    """Return the two commands of the README that install the program."""
    text = (REPOSITORY / "README.md").read_text()
    block = re.search(r"^```sh\n(sudo apt install .*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block
    return block[1].splitlines()[:2]


class Box:
    """A container with the service in it, and the AWS that it sees."""

    def __init__(self, container: Container, s3: S3Double, sns: CertificateServer) -> None:
        self.container = container
        self.s3 = s3
        self.port = reserved_port()
        self._sns = sns
        self._signer = Signer(url=sns.url)
        self._sent = 0

    @property
    def root(self) -> Path:
        return self.container.root

    def at(self, path: Path) -> Path:
        """Return a path of the box as seen from here."""
        return self.root / path.relative_to("/")

    def write(self, path: Path, text: str | bytes) -> None:
        place = self.at(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)

    def configure(self, *more: tuple[str, Path]) -> None:
        """Write the configuration: Anna, and more mailboxes."""
        maildirs = {"anna": MAIL / "anna/Maildir", **dict(more)}
        text = configuration(
            Path("/"),
            OPTIONS.format(port=self.port, host=HOST, topic=TOPIC),
            people=list(maildirs),
            maildirs=maildirs,
            state="/var/lib/postamt-sync",
        )
        self.write(CONFIG, text)

    def localise(self, more: str = "") -> None:
        """Write the drop-in that a person may write, here with where AWS is."""
        text = LOCAL.format(s3=self.s3.endpoint, sns=self._sns.origin, more=more)
        self.write(Path(f"/etc/systemd/system/{UNIT}.d/50-local.conf"), text)

    def service(self, *arguments: str, check: bool = True) -> str:
        """Run `postamt-sync service` and return all that it says."""
        done = self.container.do("postamt-sync", "service", *arguments, check=check)
        return done.stdout + done.stderr

    @property
    def process(self) -> int:
        return int(self.container.property(UNIT, "MainPID"))

    @property
    def status(self) -> str:
        return self.container.property(UNIT, "StatusText")

    def is_ready(self) -> bool:
        return self.container.property(UNIT, "ActiveState") == "active" and self.process != 0

    def until_ready(self, not_process: int = 0) -> None:
        """Wait until the daemon runs and has said so, another one than that process."""
        wait_until(lambda: self.is_ready() and self.process != not_process, self.container.journal)

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return what the daemon logged under this name, since the box was booted."""
        lines = self.container.journal().splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return [fields for fields in said if fields["event"] == event]

    def new_letter(self, name: str = "") -> Letter:
        """Put a letter for Anna, or someone else of the household, into the bucket."""
        self._sent += 1
        one = letter(f"letter{self._sent}")
        if name:
            text = f"From: c@sender.example\r\nTo: {name}@example.com\r\n\r\n{self._sent}\r\n"
            one = Letter(f"incoming/letter{self._sent}", text.encode(), (name,))
        self.s3.put(one.key, one.body)
        return one

    def announce(self, one: Letter, name: str = "anna") -> int:
        """Post SES's receipt to the webhook and return the status of the answer."""
        notification = receipt(one.key, "mail", f"{name}@example.com")
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}/sns", body(self._signer.notification(notification))
        )
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with urllib.request.urlopen(request, timeout=60, context=context) as answer:
                status: int = answer.status
                return status
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    def copies(self, one: Letter, maildir: Path = MAIL / "anna/Maildir") -> list[Path]:
        """Return the files in the mailbox that are this letter."""
        found = [p for part in ("new", "cur") for p in (self.at(maildir) / part).glob("*")]
        return [path for path in found if path.read_bytes() == one.body]

    def until_delivered(self, one: Letter, maildir: Path = MAIL / "anna/Maildir") -> Path:
        """Wait until the letter is in the mailbox, once, and return its file."""
        wait_until(lambda: self.copies(one, maildir), self.container.journal)
        (path,) = self.copies(one, maildir)
        return path

    def issue(self, number: int) -> bytes:
        """Let certbot have issued a certificate; returns it as DER."""
        key = private_key(number)
        pem = certificate_pem(key, name=HOST)
        self.write(LINEAGE / "fullchain.pem", pem)
        self.write(LINEAGE / "privkey.pem", key_pem(key))
        self.at(LINEAGE.parent).chmod(0o700)
        return ssl.PEM_cert_to_DER_cert(pem.decode())

    def shown_certificate(self) -> bytes:
        shown = ssl.get_server_certificate(("127.0.0.1", self.port))
        return ssl.PEM_cert_to_DER_cert(shown)


@contextmanager
def installed(suite: str, root: Path) -> Iterator[Box]:
    """A fresh box on which a newcomer has typed what the README says."""
    unpack(suite, root)
    put_checkout(root / "srv/postamt-sync")
    with booted(root) as container, S3Double.in_thread() as s3, _sns() as sns:
        box = Box(container, s3, sns)
        container.do("apt-get", "-qq", "update")
        for command in readme_install():
            container.shell(f"cd /srv/postamt-sync && {command}")
        yield box


@contextmanager
def _sns() -> Iterator[CertificateServer]:
    """Serve SNS's signing certificate from a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = serving_certificate(certificate_pem(private_key()))
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
