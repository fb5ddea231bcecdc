from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.lmtp import FAIL_FAST, Lmtp, Spool
from postamt_sync.errors import TryLaterError
from tests.support.ports import reserved_port

MAIL = b"Return-Path: <a=b+c@sender.example>\r\nSubject: x\r\n\r\n.\r\n..\r\nx\r\n"

LINES = (b"x" * 62 + b"\r\n") * 1024
"""As long as a chunk."""


@dataclass
class Server:
    """Takes mail over LMTP, answers as it is told, and keeps what it got."""

    port: int = field(default_factory=reserved_port)
    rcpt: str = "250 OK"
    data: str = "250 OK"
    taken: list[tuple[str | None, list[str], bytes]] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    """What followed RCPT, before anybody read it."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        if self.data.startswith("250"):
            self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return self.data


class _Lmtp(LMTP):
    async def smtp_RCPT(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's
        self.event_handler.named.append(arg)
        await super().smtp_RCPT(arg)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Lmtp(self.handler)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    controller = _Controller(server, "127.0.0.1", server.port)
    controller.start()
    yield server
    controller.stop()


@pytest.fixture
def spool(tmp_path: Path, server: Server) -> Spool:
    spool = Spool(tmp_path / "anna", Disk(), Lmtp("127.0.0.1", server.port), "anna@example.com")
    spool.create()
    return spool


def waiting(spool: Spool, body: bytes = MAIL) -> str:
    draft = spool.begin("stem")
    draft.write(body)
    draft.finish(1_700_000_000)
    return "stem"


def lie_in(spool: Spool) -> list[str]:
    return [path.name for path in (spool.root / "tmp").iterdir()]


def test_a_copy_is_handed_over_and_removed(spool: Spool, server: Server) -> None:
    spool.publish(waiting(spool), "", "name")
    assert lie_in(spool) == []
    assert server.taken == [("a=b+c@sender.example", ["anna@example.com"], MAIL)]


@pytest.mark.parametrize(
    ("folder", "recipient"),
    [
        ("Junk", "anna+Junk@example.com"),
        ("Post/My Spam", '"anna+Post/My Spam"@example.com'),
        ("[Spam]", '"anna+[Spam]"@example.com'),
        ("INBOX/Viren & Co.", '"anna+INBOX/Viren & Co."@example.com'),
        ('a"b\\c', '"anna+a\\"b\\\\c"@example.com'),
        ("<x>@y", '"anna+<x>@y"@example.com'),
    ],
)
def test_the_folder_is_the_addresss_detail(
    spool: Spool, server: Server, folder: str, recipient: str
) -> None:
    spool.publish(waiting(spool), folder, "name")
    ((_, recipients, _),) = server.taken
    assert recipients == [recipient]


@pytest.mark.parametrize("folder", ["x>\r\nRSET", "a\tb", "~x", "Inbox/x", "B\u00fccher"])
def test_what_cannot_be_named_waits_and_is_never_in_the_inbox(
    spool: Spool, server: Server, folder: str
) -> None:
    with pytest.raises(TryLaterError) as caught:
        spool.publish(waiting(spool), folder, "name")
    assert caught.value.problem.isprintable()
    assert (server.taken, lie_in(spool)) == ([], ["stem"])


@pytest.mark.parametrize(
    ("recipient", "address"),
    [
        ("anna", "anna+Junk"),
        ("o'neil@example.com", '"o\'neil+Junk"@example.com'),
        ("a=b@example.com", '"a=b+Junk"@example.com'),
    ],
)
def test_the_recipients_own_signs_are_quoted_too(
    tmp_path: Path, server: Server, recipient: str, address: str
) -> None:
    spool = Spool(tmp_path / "anna", Disk(), Lmtp("127.0.0.1", server.port), recipient)
    spool.create()
    spool.publish(waiting(spool), "Junk", "name")
    assert server.named == [f"TO:<{address}>"]


@pytest.mark.parametrize(
    ("head", "sender"),
    [
        (b"Return-Path: <>\r\n", ""),
        (b"Received: x\r\nReturn-Path: <a@b.example>\r\n", "a@b.example"),
        (b"Subject: x\r\n\r\nReturn-Path: <a@b.example>\r\n", ""),
        (b"Return-Path: <a@b.example> SIZE=1>\r\n", ""),
        (b"Return-Path: <a\xff@b.example>\r\n", ""),
        (b"", ""),
    ],
)
def test_the_sender_is_what_ses_wrote(
    spool: Spool, server: Server, head: bytes, sender: str
) -> None:
    spool.publish(waiting(spool, head + b"Subject: y\r\n\r\nz\r\n"), "", "name")
    ((mail_from, _, _),) = server.taken
    assert mail_from == (sender or "<>")  # aiosmtpd's word for the null sender


@pytest.mark.parametrize(
    ("body", "arrives"),
    [
        (b"", b""),
        (b"no line end", b"no line end\r\n"),
        (LINES + b".\r\ny\r\n", None),  # the dot begins the second chunk
        (LINES[1:] + b".\r\ny\r\n", None),
        (b"x" + LINES[:-1] + b"\n.\n", b"x" + LINES + b".\r\n"),
        (b"\n.\n\n", b"\r\n.\r\n\r\n"),
        (LINES[2:] + b"\r\n.\r\ny\r\n", None),
    ],
)
def test_bytes_arrive_as_they_are(
    spool: Spool, server: Server, body: bytes, arrives: bytes | None
) -> None:
    spool.publish(waiting(spool, body), "", "name")
    ((_, _, content),) = server.taken
    assert content == (body if arrives is None else arrives)


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("rcpt", "550 5.1.1 User doesn't exist"),
        ("rcpt", "451 4.3.0 later"),
        ("data", "452 4.2.2 Quota exceeded"),
        ("data", "554 5.6.0 never"),
    ],
)
def test_whatever_is_refused_waits(spool: Spool, server: Server, step: str, answer: str) -> None:
    stem = waiting(spool)
    setattr(server, step, answer)
    with pytest.raises(TryLaterError, match=answer[:3]):
        spool.publish(stem, "", "name")
    assert lie_in(spool) == [stem]
    setattr(server, step, "250 OK")
    spool.publish(stem, "", "name")  # a refusal is no reason to hold off
    assert len(server.taken) == 1


def test_a_server_that_is_down_is_not_tried_for_every_mail(tmp_path: Path) -> None:
    now = 0.0
    lmtp = Lmtp("127.0.0.1", port := reserved_port(), clock=lambda: now)
    spool = Spool(tmp_path / "anna", Disk(), lmtp, "anna")
    spool.create()
    stem = waiting(spool)
    with pytest.raises(TryLaterError, match="dovecot-lmtpd"):
        spool.publish(stem, "", "name")
    server = Server(port)
    controller = _Controller(server, "127.0.0.1", port)
    controller.start()
    try:
        with pytest.raises(TryLaterError, match="dovecot-lmtpd"):
            spool.publish(stem, "", "name")
        assert server.taken == []
        now = FAIL_FAST
        spool.publish(stem, "", "name")
        assert len(server.taken) == 1
    finally:
        controller.stop()


async def test_a_connection_that_breaks_after_the_answer_is_a_delivery(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        for code in (b"250", b"250", b"250", b"354"):
            await reader.readline()
            writer.write(code + b" go on\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        writer.close()

    path = tmp_path / "socket"
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        spool = Spool(tmp_path / "anna", Disk(), Lmtp(str(path)), "anna")
        spool.create()
        await asyncio.to_thread(spool.publish, waiting(spool), "", "name")
        assert lie_in(spool) == []
