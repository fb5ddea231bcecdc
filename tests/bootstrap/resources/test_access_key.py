"""A user who has an active key has a key: nothing is made or deleted because of a file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.aws.smtp import smtp_password
from postamt_sync.bootstrap.aws_client import ChangedMeanwhileError
from postamt_sync.bootstrap.change import Change, Conflict, Note
from postamt_sync.bootstrap.key_intent import PendingKey
from postamt_sync.bootstrap.key_rotation import Rotation
from postamt_sync.bootstrap.resources.access_key import AccessKeyResource, ids_of
from postamt_sync.bootstrap.stack_resources import keys
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from tests.doubles.account import Account, KilledError, stack

STACK = stack()
USER = STACK.smtp_user


@pytest.fixture
def user(account: Account) -> Account:
    """Return an account that has the user, and no key."""
    account.client("iam").create_user(UserName=USER)
    return account


def the_key(account: Account, directory: Path | None = None) -> AccessKeyResource:
    """Return the key that all mailboxes send with."""
    (one,) = keys(STACK, account.aws(), directory or account.keys).sending
    return one.key


def make(account: Account, directory: Path | None = None) -> str:
    key = the_key(account, directory)
    return key.make(key.keys(), key.lost(key.keys()))


def planned(account: Account, directory: Path | None = None) -> Any:
    (item,) = the_key(account, directory).plan()
    return item


def ids(account: Account) -> set[str]:
    return ids_of(account.client("iam").list_access_keys(UserName=USER)["AccessKeyMetadata"])


def console_key(account: Account) -> str:
    made = account.client("iam").create_access_key(UserName=USER)
    return str(made["AccessKey"]["AccessKeyId"])


Spoil = Callable[[Path], object]
SPOILED: dict[str, tuple[Spoil, str]] = {
    "deleted": (lambda path: path.unlink(), "is not there"),
    "empty": (lambda path: path.write_text(""), "holds no key"),
    "damaged": (lambda path: path.write_bytes(b"\xff[smtp"), "holds no key that can be read"),
    "cut short": (lambda path: path.write_text("[smtp]\nserver = a\n"), "holds no key"),
    "another's": (lambda path: path.write_text("[smtp]\nusername = AKIAB\n"), "holds AKIAB"),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), "cannot be read (Is a directory)"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_file_that_is_not_there_or_not_right_is_told_and_nothing_else(
    user: Account, what: str
) -> None:
    made = make(user)
    spoil, message = SPOILED[what]
    spoil(user.keys / "smtp-credentials")
    note = planned(user)
    assert isinstance(note, Note)
    assert f"the key {made} is active" in note.message
    assert f"{user.keys}/smtp-credentials {message}." in note.message
    assert "postamt-sync bootstrap credentials replace smtp" in note.message
    assert ids(user) == {made}


def test_another_directory_and_a_key_from_the_console_are_a_key(user: Account) -> None:
    theirs = console_key(user)
    assert f"the key {theirs} is active" in planned(user).message
    second = console_key(user)
    message = planned(user, user.keys / "other").message
    assert f"the keys {theirs} and {second} are active" in " ".join(message.split()) or (
        f"the keys {second} and {theirs} are active" in message
    )
    assert not user.keys.exists()


def test_what_a_person_switched_off_is_not_made_again(user: Account) -> None:
    made = make(user)
    user.client("iam").update_access_key(UserName=USER, AccessKeyId=made, Status="Inactive")
    for directory in (user.keys, user.keys / "other"):
        note = planned(user, directory)
        assert isinstance(note, Note)
        assert f"the key {made} is switched off in IAM" in note.message


def killed_after_iam(account: Account) -> set[str]:
    """Be killed when IAM has made the key; return the keys that there are then."""
    account.kill_after = len(account.writes) + 1
    with pytest.raises(KilledError):
        make(account)
    return ids(account)


def test_killed_before_the_file_the_next_run_completes_it(user: Account) -> None:
    (stray,) = killed_after_iam(user)
    change = planned(user)
    assert isinstance(change, Change)
    assert f"{stray} was created by a run that was interrupted" in change.message
    assert change.act is not None
    change.act()
    (made,) = ids(user)
    assert made != stray
    assert the_key(user).file.key_id() == made
    assert list(the_key(user).plan()) == []
    assert [path.name for path in user.keys.iterdir()] == ["smtp-credentials"]


def test_killed_before_iam_was_asked_nothing_is_wrong(user: Account) -> None:
    key = the_key(user)
    with PendingKey(key.file).alone():
        PendingKey(key.file).begin([], dt.datetime.now(dt.UTC))
    assert "create" in planned(user).message
    assert {make(user)} == ids(user)


def _settled(account: Account) -> None:
    path = account.keys / "smtp-credentials"
    path.replace(account.keys / ".smtp-credentials.pending")


def test_killed_between_the_renames_the_key_is_put_in_place(user: Account) -> None:
    made = make(user)
    _settled(user)
    change = planned(user)
    assert isinstance(change, Change)
    assert change.act is not None
    change.act()
    assert the_key(user).file.key_id() == made
    assert ids(user) == {made}


def describe(account: Account, key_id: str) -> None:
    tags = [{"Key": key_id, "Value": "phone of ann"}]
    account.client("iam").tag_user(UserName=USER, Tags=tags)


def _make_old(account: Account, _: str) -> None:
    path = account.keys / ".smtp-credentials.pending"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "asked": "2026-11-01T00:00:00+00:00"}))


DOUBTS: dict[str, Callable[[Account, str], object]] = {
    "described, as the console and other runs of ours do": describe,
    "made at another time than the run": _make_old,
    "the intent is gone": lambda account, _: next(account.keys.iterdir()).unlink(),
    "the intent is damaged": lambda account, _: next(account.keys.iterdir()).write_text("{"),
    "of another user": lambda account, _: next(account.keys.iterdir()).write_text(
        next(account.keys.iterdir()).read_text().replace("123456789012", "210987654321")
    ),
    "there are two": lambda account, _: console_key(account),
}


@pytest.mark.parametrize("what", DOUBTS)
def test_where_anybody_may_have_the_secret_the_key_stays(user: Account, what: str) -> None:
    (stray,) = killed_after_iam(user)
    DOUBTS[what](user, stray)
    before = ids(user)
    note = planned(user)
    assert isinstance(note, Note)
    assert "are active" in note.message or f"the key {stray} is active" in note.message
    assert ids(user) == before


def test_a_stray_key_that_is_in_use_stays(user: Account) -> None:
    killed_after_iam(user)
    used = {"LastUsedDate": "2026-11-27T00:00:00Z"}
    with user.answering(
        "iam", "GetAccessKeyLastUsed", lambda answer: answer["AccessKeyLastUsed"].update(used)
    ):
        assert isinstance(planned(user), Note)


def test_a_run_that_is_still_at_it_is_no_run_that_was_cut_off(user: Account) -> None:
    killed_after_iam(user)
    with PendingKey(the_key(user).file).alone():
        assert isinstance(planned(user), Note)
        with pytest.raises(TryLaterError, match="Another run"):
            make(user)
    assert isinstance(planned(user), Change)


def test_a_cut_off_run_does_not_cost_the_key_that_another_directory_got(user: Account) -> None:
    """The first run never reached IAM; the second one, elsewhere, has a key that someone uses."""
    key = the_key(user)
    with PendingKey(key.file).alone():
        PendingKey(key.file).begin([], dt.datetime.now(dt.UTC))
    made = make(user, user.keys / "other")
    assert isinstance(planned(user), Note)
    assert ids(user) == {made}


def test_what_changed_since_the_plan_is_not_carried_out(user: Account) -> None:
    change = planned(user)
    theirs = console_key(user)
    with pytest.raises(ChangedMeanwhileError):
        change.act()
    assert ids(user) == {theirs}


@pytest.mark.parametrize(
    "content",
    ["[smtp]\nusername = AKIAOTHER\n", "[smtp]\niam_user = arn:x\nusername = AKIAOTHER\n", "[s"],
)
def test_a_foreign_file_is_never_written_over(user: Account, content: str) -> None:
    path = user.keys / "smtp-credentials"
    path.parent.mkdir()
    path.write_text(content)
    assert isinstance(planned(user), Conflict)
    with pytest.raises(MisconfiguredError):
        make(user)
    assert path.read_text() == content
    assert ids(user) == set()


def test_our_own_dead_key_is_written_over(user: Account) -> None:
    old = make(user)
    user.client("iam").delete_access_key(UserName=USER, AccessKeyId=old)
    assert isinstance(planned(user), Change)
    assert {make(user)} == ids(user) != {old}


def test_a_key_that_cannot_be_kept_is_deleted_again(
    user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_away(name: str, _: dict[str, Any]) -> None:
        if name == "CreateAccessKey":  # the disk is full, or gone, when the answer comes
            user.keys.rename(user.keys.parent / "gone")
            user.keys.write_text("")

    user.before = take_away
    with pytest.raises(TryLaterError, match="cannot be written"):
        make(user)
    assert ids(user) == set()


def test_a_directory_that_cannot_be_written_to_costs_no_key(user: Account) -> None:
    user.keys.write_text("")
    with pytest.raises(TryLaterError, match="--out"):
        make(user)
    assert "CreateAccessKey" not in user.writes


def test_a_refusal_leaves_nothing_behind(user: Account) -> None:
    """Else a key that an administrator then makes by hand would look like ours."""
    refused = user.refusing("iam", "CreateAccessKey", "AccessDenied", status=403, once=True)
    with refused, pytest.raises(MisconfiguredError, match="iam:CreateAccessKey"):
        make(user)
    assert list(user.keys.iterdir()) == []
    theirs = console_key(user)
    assert isinstance(planned(user), Note)
    assert ids(user) == {theirs}


def test_the_password_derives_from_the_key(user: Account) -> None:
    told: list[dict[str, Any]] = []
    events = user.aws().client("iam", once=True).meta.events
    hear = lambda parsed, **_: told.append(parsed)  # noqa: E731 - registered, then taken away
    events.register("after-call.iam.CreateAccessKey", hear)
    try:
        made = make(user)
    finally:
        events.unregister("after-call.iam.CreateAccessKey", hear)
    (one,) = keys(STACK, user.aws(), user.keys).sending
    values = one.file.read()
    assert values["username"] == made
    secret = told[0]["AccessKey"]["SecretAccessKey"]
    assert values["password"] == smtp_password(secret, STACK.region)


def test_an_answer_that_is_lost_makes_no_second_key(user: Account) -> None:
    """Asked again by itself, IAM would make another: the first one's secret is known to nobody."""
    asked: list[str] = []
    user.before = lambda name, _: asked.append(name)
    failing = user.refusing("iam", "CreateAccessKey", "ServiceFailure", status=500, once=True)
    with failing, pytest.raises(PostamtError):
        make(user)
    assert asked.count("CreateAccessKey") == 1
    stray = console_key(user)  # what IAM made without being able to say so
    assert stray in planned(user).message
    assert {make(user)} == ids(user) != {stray}


def test_killed_in_a_rotation_the_next_step_begins_again(user: Account) -> None:
    old = make(user)
    kept = (user.keys / "smtp-credentials").read_text()
    killed_rotation(user)
    assert len(ids(user)) == 2
    assert (user.keys / "smtp-credentials").read_text() == kept
    assert list(the_key(user).plan()) == []
    assert f"The old one, {old}" in Rotation(the_key(user), pytest.fail).step()
    (new,) = ids(user) - {old}
    assert the_key(user).file.key_id() == new


def killed_rotation(account: Account) -> None:
    account.kill_after = len(account.writes) + 1
    with pytest.raises(KilledError):
        Rotation(the_key(account), pytest.fail).step()
