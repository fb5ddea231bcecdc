from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.delivery.draft import Draft, Written
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.errors import TryLaterError
from tests.doubles.disk import Call, FaultyDisk

STEM = "1700000000.M000000K6bda6304b1c7d8719c83f4ecEf215faf9d88b7f0a.postamt"
NAME = f"{STEM},S=4,W=4"
AT = 1_700_000_000.5


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def maildir(tmp_path: Path, disk: FaultyDisk) -> Maildir:
    maildir = Maildir(tmp_path / "Maildir", disk)
    maildir.create()
    disk.calls.clear()
    return maildir


def write(maildir: Maildir, *chunks: bytes, stem: str = STEM) -> Written:
    draft = maildir.begin(stem)
    for chunk in chunks:
        draft.write(chunk)
    return draft.finish(AT)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


class TestCreation:
    def test_each_new_entry_is_synced_before_anything_is_put_below_it(
        self, tmp_path: Path, disk: FaultyDisk
    ) -> None:
        home = tmp_path / "vhosts"
        root = home / "anna" / "Maildir"
        Maildir(root, disk).create()
        assert disk.calls == [
            Call("sync_directory", tmp_path.parent),
            Call("make_directory", home),
            Call("sync_directory", tmp_path),
            Call("make_directory", home / "anna"),
            Call("sync_directory", home),
            Call("make_directory", root),
            Call("sync_directory", home / "anna"),
            Call("make_directory", root / "tmp"),
            Call("make_directory", root / "new"),
            Call("make_directory", root / "cur"),
            Call("sync_directory", root),
        ]
        for path in (home, home / "anna", root, root / "tmp", root / "new", root / "cur"):
            assert path.stat().st_mode & 0o777 == 0o700

    def test_what_a_crash_left_unsynced_is_synced_the_next_time(
        self, tmp_path: Path, disk: FaultyDisk
    ) -> None:
        root = tmp_path / "anna" / "Maildir"
        root.mkdir(parents=True)
        Maildir(root, disk).create()
        assert disk.calls[0] == Call("sync_directory", root.parent)

    def test_a_maildir_of_someone_stays_as_it_is(self, tmp_path: Path, disk: FaultyDisk) -> None:
        root = tmp_path / "Maildir"
        for part in ("cur", "new", "tmp"):
            (root / part).mkdir(parents=True)
        root.chmod(0o2770)
        (root / "cur" / "mail:2,S").write_bytes(b"old")
        disk.break_("sync_directory", errno.EACCES, below=tmp_path, times=1)
        Maildir(root, disk).create()
        assert root.stat().st_mode & 0o7777 == 0o2770
        assert everything(root) == ["cur", "cur/mail:2,S", "new", "tmp"]

    def test_trouble_is_told(self, tmp_path: Path, disk: FaultyDisk) -> None:
        disk.break_("make_directory", errno.EACCES)
        with pytest.raises(TryLaterError, match="Permission is denied"):
            Maildir(tmp_path / "Maildir", disk).create()

    @pytest.mark.parametrize("missing", ["", "tmp", "new", "cur"])
    def test_a_root_that_is_not_there_in_full_has_vanished(
        self, maildir: Maildir, disk: FaultyDisk, missing: str
    ) -> None:
        shutil.rmtree(maildir.root / missing)
        before = everything(maildir.root.parent)
        with pytest.raises(MailboxVanishedError, match="has vanished") as vanished:
            maildir.check()
        assert "Mount its disk" in vanished.value.hint
        with pytest.raises(MailboxVanishedError):
            maildir.open_folder("Junk")
        assert everything(maildir.root.parent) == before
        assert disk.calls == []

    @pytest.mark.parametrize("missing", ["", "tmp"])
    def test_a_draft_cannot_be_begun_in_a_root_that_has_vanished(
        self, maildir: Maildir, missing: str
    ) -> None:
        shutil.rmtree(maildir.root / missing)
        before = everything(maildir.root.parent)
        with pytest.raises(MailboxVanishedError):
            maildir.begin(STEM)
        assert everything(maildir.root.parent) == before

    def test_a_link_into_nothing_has_vanished(self, tmp_path: Path, disk: FaultyDisk) -> None:
        (tmp_path / "Maildir").symlink_to(tmp_path / "unmounted")
        with pytest.raises(MailboxVanishedError):
            Maildir(tmp_path / "Maildir", disk).check()


class TestDraft:
    def test_bytes_sizes_and_time(self, maildir: Maildir) -> None:
        written = write(maildir, b"From: a\r\n", b"\r\nb\n")
        path = maildir.root / "tmp" / STEM
        assert written == Written(STEM, 13, 14)
        assert path.read_bytes() == b"From: a\r\n\r\nb\n"
        assert path.stat().st_mtime == AT
        assert path.stat().st_mode & 0o777 == 0o600

    def test_the_file_is_synced_once_after_its_last_byte_and_its_time(
        self, maildir: Maildir, disk: FaultyDisk
    ) -> None:
        write(maildir, b"a", b"b")
        assert disk.names() == ["create", "write", "write", "set_times", "sync", "size", "close"]

    @pytest.mark.parametrize("kind", ["file", "link", "dangling"])
    def test_what_is_in_the_way_is_discarded_and_never_followed(
        self, maildir: Maildir, tmp_path: Path, kind: str
    ) -> None:
        precious, path = tmp_path / "precious", maildir.root / "tmp" / STEM
        if kind == "file":
            path.write_bytes(b"torn, longer than what follows")
        else:
            path.symlink_to(precious)
        if kind == "link":
            precious.write_bytes(b"precious")
        write(maildir, b"mail")
        assert path.read_bytes() == b"mail"
        assert not path.is_symlink()
        assert precious.exists() is (kind == "link")
        assert kind != "link" or precious.read_bytes() == b"precious"

    def test_a_directory_in_the_way_is_told(self, maildir: Maildir) -> None:
        (maildir.root / "tmp" / STEM).mkdir()
        with pytest.raises(TryLaterError, match=r"in the way|not permitted"):
            maildir.begin(STEM)

    @pytest.mark.parametrize(
        ("call", "number", "sentence"),
        [
            ("create", errno.EROFS, "read-only"),
            ("create", errno.EACCES, "Permission is denied"),
            ("write", errno.ENOSPC, "disk is full"),
            ("write", errno.EDQUOT, "quota"),
            ("set_times", errno.EPERM, "not permitted"),
            ("sync", errno.EIO, "input/output error"),
            ("sync", errno.ENOSPC, "disk is full"),
            ("close", errno.EIO, "input/output error"),
        ],
    )
    def test_trouble_is_told_and_leaves_nothing(
        self, maildir: Maildir, disk: FaultyDisk, call: str, number: int, sentence: str
    ) -> None:
        disk.break_(call, number)
        drafts: list[Draft] = []

        def attempt() -> None:
            drafts.append(maildir.begin(STEM))
            drafts[0].write(b"mail")
            drafts[0].finish(AT)

        with pytest.raises(TryLaterError, match=sentence):
            attempt()
        for draft in drafts:
            draft.discard()
        assert list((maildir.root / "tmp").iterdir()) == []
        assert disk.open_files == []
        assert disk.names().count("sync") <= 1

    def test_a_draft_whose_close_fails_is_removed_all_the_same(
        self, maildir: Maildir, disk: FaultyDisk
    ) -> None:
        draft = maildir.begin(STEM)
        disk.break_("close", errno.EIO)
        draft.discard()
        assert maildir.draft_size(STEM) is None

    def test_a_disk_that_lost_bytes_is_caught(self, maildir: Maildir, disk: FaultyDisk) -> None:
        path = maildir.root / "tmp" / STEM
        disk.break_("sync", 0, first=lambda: os.truncate(path, 2))
        with pytest.raises(TryLaterError, match="has 2 bytes where 4 were written"):
            write(maildir, b"mail")

    def test_discarding_is_quiet_on_a_broken_disk(self, maildir: Maildir, disk: FaultyDisk) -> None:
        draft = maildir.begin(STEM)
        disk.break_("unlink", errno.EROFS)
        draft.discard()
        maildir.discard(STEM)
        disk.mend()
        maildir.discard(STEM)
        assert maildir.draft_size(STEM) is None


def slow_vsize(body: bytes) -> int:
    """Dovecot's W: as if every line ended in CRLF."""
    size, last = 0, b""
    for byte in (body[i : i + 1] for i in range(len(body))):
        size += 2 if byte == b"\n" and last != b"\r" else 1
        last = byte
    return size


@pytest.mark.slow
@given(
    st.lists(
        st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"x", b""])).map(b"".join),
        max_size=8,
    )
)
def test_sizes_are_dovecots(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    maildir = Maildir(tmp_path_factory.getbasetemp() / "sizes", FaultyDisk())
    maildir.create()
    body = b"".join(chunks)
    assert write(maildir, *chunks) == Written(STEM, len(body), slow_vsize(body))
    assert (maildir.root / "tmp" / STEM).read_bytes() == body


class TestPublishing:
    def test_into_the_inbox(self, maildir: Maildir, disk: FaultyDisk) -> None:
        write(maildir, b"mail")
        disk.calls.clear()
        maildir.publish(STEM, "", NAME)
        maildir.sync_published("")
        assert everything(maildir.root) == ["cur", "new", f"new/{NAME}", "tmp"]
        assert disk.calls == [
            Call("rename", maildir.root / "tmp" / STEM),
            Call("sync_directory", maildir.root / "new"),
            Call("sync_directory", maildir.root / "tmp"),
        ]

    def test_into_a_folder(self, maildir: Maildir) -> None:
        write(maildir, b"mail")
        maildir.open_folder("Lists/B\u00fccher")
        maildir.publish(STEM, "Lists/B\u00fccher", NAME)
        maildir.sync_published("Lists/B\u00fccher")
        assert (maildir.root / ".Lists.B&APw-cher" / "new" / NAME).read_bytes() == b"mail"

    def test_a_folder_deleted_in_between_keeps_the_draft(self, maildir: Maildir) -> None:
        write(maildir, b"mail")
        maildir.open_folder("Junk")
        shutil.rmtree(maildir.root / ".Junk")
        with pytest.raises(TryLaterError, match="directory is missing"):
            maildir.publish(STEM, "Junk", NAME)
        assert maildir.draft_size(STEM) is not None
        maildir.open_folder("Junk")
        maildir.publish(STEM, "Junk", NAME)

    def test_a_folder_deleted_after_the_rename_took_its_mail_along(self, maildir: Maildir) -> None:
        write(maildir, b"mail")
        maildir.open_folder("Junk")
        maildir.publish(STEM, "Junk", NAME)
        shutil.rmtree(maildir.root / ".Junk")
        maildir.sync_published("Junk")
        assert maildir.draft_size(STEM) is None

    def test_a_root_that_goes_meanwhile_is_no_deleted_folder(self, maildir: Maildir) -> None:
        write(maildir, b"mail")
        maildir.publish(STEM, "", NAME)
        shutil.rmtree(maildir.root)
        with pytest.raises(TryLaterError):
            maildir.sync_published("")

    def test_a_folder_that_cannot_be_looked_at_is_told(
        self, tmp_path: Path, disk: FaultyDisk
    ) -> None:
        maildir = Maildir(tmp_path / "Maildir", disk)
        maildir.create()
        # A name too long stands for whatever `stat` may refuse, to root too.
        with pytest.raises(TryLaterError, match="refused"):
            Maildir(tmp_path / ("x" * 300), disk).sync_published("")

    @pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ENOSPC])
    def test_a_rename_that_fails_is_told(
        self, maildir: Maildir, disk: FaultyDisk, number: int
    ) -> None:
        write(maildir, b"mail")
        disk.break_("rename", number)
        with pytest.raises(TryLaterError):
            maildir.publish(STEM, "", NAME)
        assert maildir.draft_size(STEM) is not None

    def test_a_sync_that_fails_is_told(self, maildir: Maildir, disk: FaultyDisk) -> None:
        disk.break_("sync_directory", errno.EIO)
        with pytest.raises(TryLaterError, match="input/output"):
            maildir.sync_tmp()


class TestHolding:
    @pytest.mark.parametrize(
        "where",
        [
            f"new/{NAME}",
            f"cur/{NAME}:2,FSab",
            f".Archive/cur/{NAME}:2,S",
            f".Lists.B&APw-cher/new/{NAME}",
            f"cur/{STEM},S=4,W=4,X=9:2,",
        ],
    )
    def test_found_wherever_a_client_put_it(self, maildir: Maildir, where: str) -> None:
        path = maildir.root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mail")
        (maildir.root / "dovecot-uidlist").write_bytes(b"")
        (maildir.root / ".stray").write_bytes(b"")
        assert maildir.holds(STEM)
        assert not maildir.holds(STEM.replace(".postamt", "R1.postamt"))

    def test_a_draft_is_not_held(self, maildir: Maildir) -> None:
        write(maildir, b"mail")
        assert maildir.draft_size(STEM) is not None
        assert not maildir.holds(STEM)

    def test_a_folder_that_cannot_be_read_may_hold_it(self, maildir: Maildir) -> None:
        # A link to itself cannot be listed, not even by root.
        (maildir.root / ".Loop").symlink_to(".Loop")
        with pytest.raises(TryLaterError):
            maildir.holds(STEM)


class TestFolders:
    def test_made_durable_before_any_mail_is_in_it(
        self, maildir: Maildir, disk: FaultyDisk
    ) -> None:
        maildir.open_folder("Junk")
        junk = maildir.root / ".Junk"
        assert disk.calls == [
            Call("append_line", maildir.root / "subscriptions"),
            Call("make_directory", junk),
            Call("make_directory", junk / "tmp"),
            Call("make_directory", junk / "new"),
            Call("make_directory", junk / "cur"),
            Call("sync_directory", junk),
            Call("sync_directory", maildir.root),
        ]

    def test_opened_again_it_costs_nothing(self, maildir: Maildir, disk: FaultyDisk) -> None:
        maildir.open_folder("Junk")
        disk.calls.clear()
        maildir.open_folder("Junk")
        assert disk.calls == []

    def test_one_that_is_found_is_synced_once(self, maildir: Maildir, disk: FaultyDisk) -> None:
        maildir.open_folder("Junk")
        disk.calls.clear()
        found = Maildir(maildir.root, disk)
        found.open_folder("Junk")
        found.open_folder("Junk")
        assert disk.calls == [
            Call("sync_directory", maildir.root / ".Junk"),
            Call("sync_directory", maildir.root),
        ]

    def test_the_inbox_needs_nothing(self, maildir: Maildir, disk: FaultyDisk) -> None:
        maildir.open_folder("")
        assert disk.calls == []

    def test_a_file_in_the_way_is_told(self, maildir: Maildir) -> None:
        (maildir.root / ".Junk").write_bytes(b"")
        with pytest.raises(TryLaterError, match="in the way"):
            maildir.open_folder("Junk")


class TestSubscriptions:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (None, b"Lists.B&APw-cher\n"),
            (b"", b"Lists.B&APw-cher\n"),
            (b"Sent\n", b"Sent\nLists.B&APw-cher\n"),
            (b"Sent", b"Sent\nLists.B&APw-cher\n"),
            (b"V\t2\n\nSent\n", b"V\t2\n\nSent\nLists\tB&APw-cher\n"),
            (b"Lists.B&APw-cher\nSent\n", b"Lists.B&APw-cher\nSent\n"),
            (b"V\t2\n\nLists\tB&APw-cher\n", b"V\t2\n\nLists\tB&APw-cher\n"),
            (b"\xff\xfe\n", b"\xff\xfe\nLists.B&APw-cher\n"),
        ],
    )
    def test_a_new_folder_is_listed_once(
        self, maildir: Maildir, before: bytes | None, after: bytes
    ) -> None:
        path = maildir.root / "subscriptions"
        if before is not None:
            path.write_bytes(before)
        maildir.open_folder("Lists/B\u00fccher")
        assert path.read_bytes() == after

    def test_a_folder_that_is_there_is_its_owners(self, maildir: Maildir) -> None:
        maildir.open_folder("Junk")
        (maildir.root / "subscriptions").write_bytes(b"")
        Maildir(maildir.root, FaultyDisk()).open_folder("Junk")
        assert (maildir.root / "subscriptions").read_bytes() == b""

    def test_a_crash_before_the_folder_was_made_subscribes_it_once(
        self, maildir: Maildir, disk: FaultyDisk
    ) -> None:
        disk.break_("make_directory", errno.EIO, times=1)
        with pytest.raises(TryLaterError):
            maildir.open_folder("Junk")
        maildir.open_folder("Junk")
        assert (maildir.root / "subscriptions").read_bytes() == b"Junk\n"
