"""What lies in a Maildir under our names, and under those that Dovecot gave instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.filename import final_name, make_stem
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.maildir_scan import (
    drafts,
    existing_folder,
    found_copies,
    our_names,
    stems,
)

OURS = final_name(make_stem("mail", "incoming/a", "e1", 1_700_000_000.0), 10, 12)


@pytest.fixture
def maildir(tmp_path: Path) -> Maildir:
    maildir = Maildir(tmp_path / "anna", Disk())
    maildir.create()
    maildir.open_folder("B\u00fccher")
    return maildir


def there(maildir: Maildir) -> list[tuple[str, str]]:
    return sorted((entry.name, ours) for _, entry, ours in our_names(maildir.root))


def test_names_are_found_wherever_clients_put_them(maildir: Maildir) -> None:
    (maildir.root / "new" / OURS).touch()
    (maildir.root / ".B&APw-cher" / "cur" / f"{OURS}:2,FS").touch()
    (maildir.root / "cur" / "1.M2P3.host,S=1:2,").touch()
    assert there(maildir) == [(OURS, OURS), (f"{OURS}:2,FS", f"{OURS}:2,FS")]
    found = list(found_copies("anna", maildir.root))
    assert sorted(t.folder for t in found) == ["", "B\u00fccher"]
    assert {t.name for t in found} == {OURS}
    assert list(stems(maildir.root)) == [(t.mail, t.stem) for t in found]
    assert list(drafts("anna", maildir.root)) == []


def test_a_name_that_dovecot_replaced_is_found_in_its_list(maildir: Maildir) -> None:
    folder = maildir.root / ".B&APw-cher"
    (folder / "cur" / "9.M9P9.host,S=9,W=10:2,S").touch()
    (folder / "cur" / "8.M8P8.host,S=9,W=10:2,S").touch()
    (folder / "dovecot-uidlist").write_text(
        f"3 V17 N9 Gabc\n1 G{OURS} :9.M9P9.host,S=9,W=10\n2 W7 :8.M8P8.host,S=9,W=10\n"
        f"3 G{OURS} :gone.M7P7.host\ngarbage\n4 Gfoo.postamt :x\n"
    )
    assert there(maildir) == [("9.M9P9.host,S=9,W=10:2,S", OURS)]
    (trace,) = found_copies("anna", maildir.root)
    assert trace.stem == OURS.partition(",")[0]
    assert maildir.holds(trace.stem)


def test_a_list_that_cannot_be_read_hides_nothing_else(maildir: Maildir) -> None:
    (maildir.root / "cur" / "9.M9P9.host:2,S").touch()
    (maildir.root / "new" / OURS).touch()
    (maildir.root / "dovecot-uidlist").write_bytes(b"\xff\x00" * 100)
    assert there(maildir) == [(OURS, OURS)]


def test_drafts_lie_in_tmp_alone(maildir: Maildir) -> None:
    (maildir.root / "tmp" / OURS.partition(",")[0]).touch()
    (maildir.root / "tmp" / "1.M2P3.host").touch()
    (draft,) = drafts("anna", maildir.root)
    assert draft.draft
    assert there(maildir) == []


def test_a_folder_is_found_by_any_case(maildir: Maildir) -> None:
    assert existing_folder(maildir.root, "b\u00dccher") == "B\u00fccher"
    assert existing_folder(maildir.root, "") == ""
    assert existing_folder(maildir.root, "cher") == ""


def test_a_folder_that_dovecot_cannot_name_is_none(maildir: Maildir) -> None:
    for name in ("~x", "Inbox.x", "INBOX"):
        (maildir.root / f".{name}" / "new").mkdir(parents=True)
    for wanted in ("~x", "inbox/x", "inbox"):
        assert existing_folder(maildir.root, wanted) == ""
    (maildir.root / ".INBOX.x/new").mkdir(parents=True)
    assert existing_folder(maildir.root, "inbox/x") == "INBOX/x"
