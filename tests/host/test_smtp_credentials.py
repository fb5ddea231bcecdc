"""The file that `bootstrap` writes for mail clients is the one that `dovecot relay` reads."""

from __future__ import annotations

from pathlib import Path

from postamt_sync.aws.smtp import smtp_password
from postamt_sync.bootstrap import key_file
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.host.smtp_credentials import read_credentials

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_what_bootstrap_keeps_is_what_we_read(tmp_path: Path) -> None:
    path = tmp_path / "smtp-credentials"
    stack = Stack("postamt", "123456789012", "eu-west-1", "mail", ("example.com",))
    key = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": SECRET}
    key_file.SmtpKeyFile(path, stack).on_response({"AccessKey": key})
    found = read_credentials(path)
    assert found.user == "AKIAIOSFODNN7EXAMPLE"
    assert found.password == smtp_password(SECRET, "eu-west-1")
    assert found.password not in repr(found)
