import imaplib
import socket
import threading
from pathlib import Path

import pytest

from postamt_sync.demo.dovecot import PrivateDovecot
from postamt_sync.demo.system import MailReader


def refuse(listening: socket.socket, ended: list[bool]) -> None:
    """Let nobody in, and note whether the connection was ended."""
    connection, _ = listening.accept()
    with connection, connection.makefile("rwb") as lines:
        connection.settimeout(10)
        lines.write(b"* OK hello\r\n")
        lines.flush()
        try:
            for line in lines:
                tag, verb = line.split()[:2]
                said = b"* CAPABILITY IMAP4rev1\r\n" if verb == b"CAPABILITY" else b""
                lines.write(said + tag + (b" OK so\r\n" if said else b" NO no\r\n"))
                lines.flush()
        except TimeoutError:
            return
        ended.append(True)


def test_a_reader_who_is_not_let_in_leaves_no_connection(tmp_path: Path) -> None:
    imap = PrivateDovecot(tmp_path, {}, "secret")
    ended: list[bool] = []
    with socket.create_server((imap.host, 0)) as listening:
        imap.port = listening.getsockname()[1]
        server = threading.Thread(target=refuse, args=(listening, ended))
        server.start()
        reader = MailReader(imap, "anna", "wrong")
        with pytest.raises(imaplib.IMAP4.error, match="no"), reader:
            pass
        server.join()
    assert ended == [True]
