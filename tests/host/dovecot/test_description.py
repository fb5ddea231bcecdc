from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.config import Mailbox, Settings
from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.dovecot.description import (
    SpecialFolder,
    account_of,
    service_of,
    special_folders,
)

CERTIFICATE = {"tls_certificate": "/tls/chain.pem", "tls_key": "/tls/key.pem"}


def settings(**options: Any) -> Settings:
    given: dict[str, Any] = {
        "aws": {"region": "eu-west-1"},
        "bucket": {"name": "mail"},
        "home": CERTIFICATE,
        "mailboxes": [{"name": "anna", "maildir": "/mail/anna", "default": True}],
    }
    return Settings(**(given | options))


def mailbox(maildir: str = "/mail/anna", *addresses: str) -> Mailbox:
    return Mailbox(name="anna", maildir=Path(maildir), addresses=addresses)


class TestAccounts:
    @pytest.mark.parametrize(
        ("maildir", "home"),
        [("/mail/anna/Maildir", "/mail/anna"), ("/mail/anna", "/mail/anna/dovecot")],
    )
    def test_a_home_is_nobody_elses(self, maildir: str, home: str) -> None:
        assert account_of(mailbox(maildir)).home == Path(home)

    def test_whole_addresses_are_logins(self) -> None:
        anna = mailbox("/m", "Anna@Example.com", "example.com", ".example.com", "a@example.org")
        assert account_of(anna).logins == ("anna@example.com", "a@example.org")

    def test_any_sign_that_an_address_may_have_is_fine(self) -> None:
        anna = mailbox("/m", "O'Hara@example.com", "a+b@example.com", "{~}@xn--mller-kva.example")
        assert account_of(anna).logins == (
            "o'hara@example.com",
            "a+b@example.com",
            "{~}@xn--mller-kva.example",
        )

    @pytest.mark.parametrize(
        "maildir", ["/mail/b\u00fccher", "/mail/_a.b@c+d,e=f~g-h", "/mail/\u90f5\u4fbf"]
    )
    def test_paths_that_can_be_written(self, maildir: str) -> None:
        assert account_of(mailbox(maildir)).maildir == Path(maildir)

    @pytest.mark.parametrize(
        "maildir", ["/a b", "/a:b", "/a%u", "/a{b}", '/a"b', "/a$b", "/a#b", "/a\\b"]
    )
    def test_paths_that_cannot_be_written(self, maildir: str) -> None:
        with pytest.raises(MisconfiguredError, match='maildir of the mailbox "anna"'):
            account_of(mailbox(maildir))


class TestFolders:
    def test_junk_is_where_we_deliver_it(self) -> None:
        folders = special_folders(
            settings(delivery={"junk_folder": "Post.Spam", "dmarc_folder": ""})
        )
        assert SpecialFolder("Post/Spam", (r"\Junk",)) in folders
        assert "Junk" not in [folder.name for folder in folders]

    def test_without_one_a_client_still_has_a_junk_folder(self) -> None:
        folders = special_folders(settings(delivery={"junk_folder": "", "virus_folder": ""}))
        assert SpecialFolder("Junk", (r"\Junk",)) in folders
        assert len(folders) == 5

    def test_the_inbox_is_no_junk_folder(self) -> None:
        folders = special_folders(settings(delivery={"junk_folder": "Inbox"}))
        assert SpecialFolder("Junk", (r"\Junk",)) in folders

    def test_one_folder_may_have_two_meanings(self) -> None:
        folders = special_folders(settings(delivery={"junk_folder": "Trash"}))
        assert SpecialFolder("Trash", (r"\Junk", r"\Trash")) in folders

    @pytest.mark.parametrize("dmarc", ["", "%{user}", "a%{env:HOME}"])
    def test_a_name_that_cannot_be_written_is_left_out(self, dmarc: str) -> None:
        names = {"junk_folder": 'a"b', "virus_folder": "a\\b", "dmarc_folder": dmarc}
        folders = special_folders(settings(delivery=names))
        assert [folder.name for folder in folders] == ["Drafts", "Sent", "Trash", "Archive"]


class TestLmtp:
    def test_none_without_a_mailbox_that_wants_it(self) -> None:
        assert service_of(settings(), submission=False).lmtp == ""

    def test_lmtp_listens_where_the_configuration_says(self) -> None:
        anna = {"name": "anna", "maildir": "/m", "default": True, "delivery": "lmtp"}
        assert service_of(settings(mailboxes=[anna]), submission=False).lmtp == "/run/dovecot/lmtp"
        odd = settings(mailboxes=[anna], delivery={"lmtp": "/run/a b"})
        with pytest.raises(MisconfiguredError, match=r"delivery\.lmtp"):
            service_of(odd, submission=False)


class TestService:
    def test_the_webhooks_certificate_serves_too(self) -> None:
        webhook = {"public_url": "https://h.example.com/sns", "topic_arn": TOPIC} | CERTIFICATE
        service = service_of(settings(home={}, webhook=webhook), submission=False)
        assert service.tls_certificate == Path("/tls/chain.pem")

    def test_without_a_certificate_nothing_is_served(self) -> None:
        with pytest.raises(MisconfiguredError, match="certificate"):
            service_of(settings(home={}), submission=False)

    def test_the_group_of_a_user_that_is_there_and_of_one_that_will_be(self) -> None:
        me = pwd.getpwuid(os.geteuid())
        there = service_of(settings(home=CERTIFICATE | {"mail_user": me.pw_name}), submission=False)
        assert there.mail_group
        later = service_of(settings(home=CERTIFICATE | {"mail_user": "zz-mail"}), submission=False)
        assert later.mail_group == "zz-mail"

    def test_the_relay_is_of_the_region(self) -> None:
        service = service_of(settings(aws={"region": "eu-north-1"}), submission=True)
        assert service.relay is not None
        assert service.relay.host == "email-smtp.eu-north-1.amazonaws.com"


TOPIC = "arn:aws:sns:eu-west-1:123456789012:postamt"
