from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from postamt_sync.host.dovecot.conf import configuration
from postamt_sync.host.dovecot.description import (
    DovecotService,
    MailAccount,
    Relay,
    SpecialFolder,
    Version,
)
from postamt_sync.host.dovecot.passwd_files import has_line, mailboxes, with_password

ANNA = MailAccount("anna", Path("/mail/anna"), Path("/mail/anna/dovecot"), ("anna@example.com",))
SERVICE = DovecotService(
    accounts=(ANNA,),
    folders=(SpecialFolder("Post/Spam", (r"\Junk", r"\Trash")), SpecialFolder("Quarantine")),
    mail_user="mail-user",
    mail_group="mail-group",
    tls_certificate=Path("/tls/chain.pem"),
    tls_key=Path("/tls/key.pem"),
)
HASH = "$2b$10$" + "a" * 53


@pytest.mark.parametrize("version", Version)
def test_settings_are_the_same_in_both_dovecot_languages(version: Version) -> None:
    text = configuration(SERVICE, version, Path("/etc/dovecot"))
    assert "$" not in text
    assert "mail_uid = mail-user\nmail_gid = mail-group\n" in text
    assert "submission" not in text
    assert "hostname" not in text
    assert "ssl = required\n" in text
    assert text.endswith("\n!include_try /etc/dovecot/local.conf\n")
    assert (
        '  mailbox "Post/Spam" {\n    special_use = \\Junk \\Trash\n    auto = subscribe\n  }\n'
        '  mailbox "Quarantine" {\n    auto = subscribe\n  }\n'
    ) in text


def test_each_language_has_its_own_words() -> None:
    old = configuration(SERVICE, Version.V2_3, Path("/d"))
    assert "protocols = imap\n" in old
    assert "ssl_cert = </tls/chain.pem\nssl_key = </tls/key.pem\n" in old
    assert "dovecot_config_version" not in old
    new = configuration(SERVICE, Version.V2_4, Path("/d"))
    assert "protocols {\n  imap = yes\n}\n" in new
    assert "ssl_server_cert_file = /tls/chain.pem\n" in new
    settings = [line for line in new.splitlines() if line and not line.startswith("#")]
    assert settings[0].startswith("dovecot_config_version = 2.4")  # Dovecot insists


def test_the_list_of_mailboxes() -> None:
    old, new = (mailboxes(SERVICE, version).splitlines()[2:] for version in Version)
    assert old[0] == "anna:::::/mail/anna/dovecot::userdb_mail=maildir:/mail/anna"
    fields = "userdb_mail_path=/mail/anna userdb_mail_inbox_path=/mail/anna"
    assert new[0] == f"anna:::::/mail/anna/dovecot::{fields}"
    for line, login in ((old, old[1]), (new, new[1])):
        assert login == f"{line[0].replace('anna:', 'anna@example.com:', 1)} user=anna"


def test_a_password_line_is_found_by_the_whole_name() -> None:
    one = with_password("", "anna.b", HASH)
    assert not has_line(one, "anna")
    both = with_password(one, "anna", HASH)
    assert both == f"anna.b:{{BLF-CRYPT}}{HASH}::::::\nanna:{{BLF-CRYPT}}{HASH}::::::\n"


@pytest.mark.parametrize("hashed", ["", "secret", f"{HASH}::\nroot:", f"{HASH}\n"])
def test_nothing_but_a_hash_gets_into_the_list(hashed: str) -> None:
    with pytest.raises(AssertionError):
        with_password("", "anna", hashed)


def test_sending_goes_to_ses_with_tls() -> None:
    relay = Relay("email-smtp.eu-west-1.amazonaws.com", 587)
    service = replace(SERVICE, relay=relay, host="m.example")
    text = configuration(service, Version.V2_3, Path("/d"))
    assert "protocols = imap submission\n" in text
    assert "submission_relay_host = email-smtp.eu-west-1.amazonaws.com\n" in text
    assert "submission_relay_port = 587\n" in text
    assert "submission_relay_ssl = starttls\nsubmission_relay_ssl_verify = yes\n" in text
    assert "!include_try /d/postamt-sync.relay.conf\n" in text
    assert "hostname = m.example\n" in text


@pytest.mark.parametrize("version", Version)
def test_lmtp_is_spoken_where_the_daemon_looks_for_it(version: Version) -> None:
    for place, listener in (
        ("/run/dovecot/lmtp", "  unix_listener lmtp {\n    user = mail-user\n"),
        ("/srv/lmtp", "  unix_listener /srv/lmtp {\n    user = mail-user\n"),
        ("[::1]:24", "= ::1\n    port = 24\n"),
    ):
        text = configuration(replace(SERVICE, lmtp=place), version, Path("/d"))
        assert listener in text
        assert "sieve" in text
    assert "lmtp" not in configuration(SERVICE, version, Path("/d"))


@pytest.mark.parametrize("version", Version)
def test_what_sieve_sends_takes_the_way_through_ses(version: Version) -> None:
    command = "/opt/postamt-sync dovecot sendmail --config /c.toml --directory /d"
    service = replace(SERVICE, lmtp="/run/dovecot/lmtp", sendmail=command)
    text = configuration(service, version, Path("/d"))
    assert f"\nsendmail_path = {command}\n" in text
    assert "sieve_vacation_send_from_recipient = yes\n" in text
    assert "sieve_max_redirects = 0\n" in text
    without = configuration(replace(service, sendmail=""), version, Path("/d"))
    assert "sendmail_path" not in without
    assert "never leaves" in without
