from pathlib import Path

import pytest

from postamt_sync.bootstrap.open_stack import handed_routes
from postamt_sync.config import load
from postamt_sync.demo.cloud import Cloud
from postamt_sync.demo.household import CopyLocation, Household
from postamt_sync.demo.samples import samples


@pytest.mark.parametrize("name", ["demo", 'a "quoted" \\ name'])
def test_the_configuration_is_valid(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    household = Household(root)
    stack = Cloud(public_url="http://127.0.0.1:8443/sns").stack
    urls = {q: stack.queue_url(q) for q in (stack.queue, stack.dead_letter_queue)}
    household.configure(stack, urls, 8443)
    settings = load(household.config, {})
    assert [m.maildir for m in settings.mailboxes] == list(household.maildirs.values())
    assert settings.poll.interval == 10
    assert handed_routes(settings) == household.handed


def test_each_sample_has_its_places(tmp_path: Path) -> None:
    household = Household(tmp_path)
    places = {s.title: household.expected(s) for s in samples()}
    assert places["To Anna, Bcc to Bruno"] == [CopyLocation("anna"), CopyLocation("bruno")]
    assert places["Spam, by SES's verdict"] == [CopyLocation("bruno", "Junk")]


def test_only_finished_mail_with_the_very_bytes_counts(tmp_path: Path) -> None:
    household = Household(tmp_path)
    root = household.maildirs["anna"]
    for part in ("tmp", "new", "cur", ".Junk/cur"):
        (root / part).mkdir(parents=True)
    (root / "tmp" / "1").write_bytes(b"mail")
    assert household.places_of(b"mail") == []
    (root / "cur" / "2:2,S").write_bytes(b"mail")
    (root / "new" / "3").write_bytes(b"Mail")
    (root / ".Junk" / "cur" / "4").write_bytes(b"mail")
    assert household.places_of(b"mail") == [CopyLocation("anna"), CopyLocation("anna", "Junk")]
