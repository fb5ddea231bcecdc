"""Sealing in an emulated account: built, mended, killed, switched off and taken away."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from postamt_sync.bootstrap.plan import Plan, carry_out, plan, plan_removal
from postamt_sync.bootstrap.resources.lifecycle import SEALING, LifecycleResource
from postamt_sync.bootstrap.resources.schedule import WHEN
from postamt_sync.bootstrap.seal_resources import SealingOffResource, seal_resources
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.seal.owner_keys import OwnerKey, encryption_fingerprints, read_owner_key
from postamt_sync.seal.records import SealRecords
from tests.doubles.account import ACCOUNT, Account, KilledError, changes, conflicts, stack
from tests.doubles.moto import REGION
from tests.support.campaign import spread

pytestmark = pytest.mark.slow

Keys = list[OwnerKey]


def certificate(name: str, days: int = 700) -> bytes:
    ends = int(timedelta(days=days).total_seconds())
    secret = pysequoia.Tsk.generate(f"{name}@example.com", validity_seconds=ends)
    return bytes(secret.extract_certificate())


@pytest.fixture(scope="module")
def certificates() -> dict[str, bytes]:
    return {name: certificate(name) for name in ("owner", "backup", "third")}


@pytest.fixture
def wanted(tmp_path: Path, certificates: dict[str, bytes]) -> SealStack:
    files = []
    for name in ("owner", "backup"):
        (tmp_path / f"{name}.asc").write_bytes(certificates[name])
        files.append(tmp_path / f"{name}.asc")
    return SealStack("postamt", ACCOUNT, REGION, "mail-of-ours", key_files=tuple(files))


def code(keys: Any) -> bytes:
    """Stand in for the zip, which 9 MB of wheel belong to: another for other keys."""
    return " ".join(encryption_fingerprints(keys)).encode()


def planned(account: Account, wanted: SealStack) -> Plan:
    return plan(seal_resources(wanted, account.aws(), code))


def apply(account: Account, wanted: SealStack) -> int:
    before = len(account.writes)
    carry_out(planned(account, wanted), account.aws(), lambda *_: None)
    return len(account.writes) - before


def notes(found: Plan) -> str:
    return " ".join(note.message for _, note in found.notes)


def test_it_is_built_and_a_second_run_writes_nothing(account: Account, wanted: SealStack) -> None:
    first = planned(account, wanted)
    assert not conflicts(first)
    for words in ("Plain at most: 31 days", "owner@example.com", "35 days", "cannot", "Glacier IR"):
        assert words in notes(first)
    assert apply(account, wanted) > 5
    again = planned(account, wanted)
    assert changes(again) == []
    assert "Plain at most" not in notes(again)
    assert "seal prove" in notes(again)
    made = account.client("lambda").get_function(FunctionName="postamt-seal")["Configuration"]
    assert made["MemorySize"] == 256
    assert made["Timeout"] == 900
    assert made["Architectures"] == ["arm64"]
    assert made["Environment"]["Variables"]["INDEX_FUNCTION"] == "postamt-index"
    events = account.client("events")
    assert events.describe_rule(Name="postamt-seal")["ScheduleExpression"] == WHEN
    (target,) = events.list_targets_by_rule(Rule="postamt-seal")["Targets"]
    assert target["Arn"] == wanted.function_arn
    policy = json.loads(account.client("lambda").get_policy(FunctionName="postamt-seal")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}


def test_once_proved_it_says_so_no_more_until_the_keys_change(
    account: Account, wanted: SealStack, certificates: dict[str, bytes]
) -> None:
    apply(account, wanted)
    keys = [read_owner_key(certificates[name]) for name in ("owner", "backup")]
    records = SealRecords(account.client("dynamodb"), wanted.table)
    records.prove(encryption_fingerprints(keys), datetime.now(UTC))
    assert notes(planned(account, wanted)) == ""
    wanted.key_files[1].write_bytes(certificates["third"])
    changed = planned(account, wanted)
    assert [message for message in changes(changed) if "code" in message]
    assert "seal prove" in notes(changed)
    assert apply(account, wanted) == 1


def test_a_key_that_has_gone_bad_is_told_and_stops_nothing_else(
    account: Account, wanted: SealStack
) -> None:
    wanted.key_files[0].write_bytes(b"gone")
    ((_, conflict),) = planned(account, wanted).conflicts
    assert "owner.asc" in conflict.message
    wanted.key_files[0].write_bytes(certificate("owner"))
    apply(account, wanted)
    wanted.key_files[0].write_bytes(b"gone")
    found = planned(account, wanted)
    assert conflicts(found) == changes(found) == []
    assert "mail stays plain" in notes(found)


def test_a_key_that_ends_soon_is_told(account: Account, wanted: SealStack) -> None:
    wanted.key_files[0].write_bytes(certificate("owner", days=20))
    assert "nothing is sealed after that" in notes(planned(account, wanted))


@pytest.mark.parametrize("nth", spread(range(1, 10), 4))
def test_killed_after_any_call_the_next_run_completes_it(
    account: Account, wanted: SealStack, nth: int
) -> None:
    account.kill_after = nth
    with pytest.raises(KilledError):
        apply(account, wanted)
    account.kill_after = None
    apply(account, wanted)
    assert changes(planned(account, wanted)) == []


def test_the_kills_above_reach_every_call(account: Account, wanted: SealStack) -> None:
    assert apply(account, wanted) == 9


def test_what_others_changed_is_put_right(account: Account, wanted: SealStack) -> None:
    apply(account, wanted)
    events = account.client("events")
    events.put_rule(Name="postamt-seal", ScheduleExpression="rate(1 hour)", State="DISABLED")
    events.remove_targets(Rule="postamt-seal", Ids=["seal"])
    account.client("lambda").remove_permission(
        FunctionName="postamt-seal", StatementId="PostamtSchedule"
    )
    assert len(changes(planned(account, wanted))) == 3
    apply(account, wanted)
    assert changes(planned(account, wanted)) == []
    changed = replace(wanted, after=30, strip=False)
    assert [m for m in changes(planned(account, changed)) if "environment" in m]


def test_that_the_index_forgets_what_it_kept_of_sealed_mail_is_told(
    account: Account, wanted: SealStack
) -> None:
    kept = replace(wanted, strip=False)
    told = "forgets what it has of mail that was sealed before too"
    assert told not in notes(planned(account, wanted)), "nothing was sealed before"
    apply(account, kept)
    assert told not in notes(planned(account, kept))
    assert told in notes(planned(account, wanted))
    apply(account, wanted)
    assert told not in notes(planned(account, wanted))


def test_destroy_takes_the_seal_stack_away(account: Account, wanted: SealStack) -> None:
    apply(account, wanted)
    found = plan_removal(seal_resources(wanted, account.aws(), code))
    carry_out(found, account.aws(), lambda *_: None)
    assert not plan_removal(seal_resources(wanted, account.aws(), code)).changes
    assert account.client("events").list_rules()["Rules"] == []


def test_switched_off_nothing_goes_on_sealing(account: Account, wanted: SealStack) -> None:
    off = SealingOffResource(replace(wanted, key_files=()), account.aws())
    assert not plan([off]).changes
    asked: list[str] = []
    account.before = lambda operation, _: asked.append(operation)
    plan([off])
    assert asked == ["GetFunction"], "who never sealed need have no more rights than this"
    account.before = lambda *_: None
    apply(account, wanted)
    account.kill_after = len(account.writes) + 2
    with pytest.raises(KilledError):
        carry_out(plan([off]), account.aws(), lambda *_: None)
    account.kill_after = None
    carry_out(plan([off]), account.aws(), lambda *_: None)
    assert not plan([off]).changes
    assert account.client("events").list_rules()["Rules"] == []
    tables = account.client("dynamodb").list_tables()["TableNames"]
    assert "postamt-seal" in tables, "who proved need not do so again"


class TestLifecycle:
    def rules(self, account: Account) -> dict[str, Any]:
        answer = account.client("s3").get_bucket_lifecycle_configuration(Bucket=stack().bucket)
        return {rule["ID"]: rule for rule in answer["Rules"]}

    def change(self, account: Account, wanted: SealStack | None) -> Plan:
        resource = LifecycleResource(replace(stack(), seal=wanted), account.aws())
        found = plan([resource])
        carry_out(found, account.aws(), lambda *_: None)
        return found

    def test_rules_for_what_is_sealed_come_and_stay(
        self, account: Account, wanted: SealStack
    ) -> None:
        account.emulator.make_bucket(stack().bucket)
        self.change(account, None)
        assert not set(SEALING) & self.rules(account).keys()
        found = self.change(account, wanted)
        assert "incoming/, tagged postamt-seal" in changes(found)[0]
        made = self.rules(account)
        away = made["postamt-sealed-away"]
        assert away["Filter"] == {
            "And": {
                "Prefix": "incoming/",
                "Tags": [{"Key": "postamt-seal", "Value": "sealed"}],
            }
        }
        assert away["NoncurrentVersionExpiration"]["NoncurrentDays"] == 14
        assert made["postamt-delete-markers"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
        assert made["postamt-sealed"]["Filter"] == {"Prefix": "sealed/"}
        assert changes(self.change(account, wanted)) == []
        off = self.change(account, None)
        assert changes(off) == []
        assert notes(off) == "", "they are ours, and no rule of others that deletes mail"
        assert set(SEALING) <= self.rules(account).keys(), "what began must end"
        assert changes(self.change(account, replace(wanted, undo=30)))
        assert (
            self.rules(account)["postamt-sealed-away"]["NoncurrentVersionExpiration"][
                "NoncurrentDays"
            ]
            == 30
        )

    def test_what_is_tagged_below_a_former_prefix_still_expires(
        self, account: Account, wanted: SealStack
    ) -> None:
        account.emulator.make_bucket(stack().bucket)
        assert notes(self.change(account, wanted)) == ""
        assert notes(self.change(account, replace(wanted, after=30, undo=30))) == ""
        found = notes(self.change(account, replace(wanted, prefix="mail/")))
        assert "tagged below incoming/ still expires" in found
        assert "sealed/" not in found
        there = self.rules(account)
        assert ending(there) == ending_of("incoming/", 30) | ending_of("mail/", 14)
        moved = replace(wanted, prefix="mail/")
        assert (changes(self.change(account, moved)), notes(self.change(account, moved))) == (
            [],
            "",
        )
        assert self.rules(account) == there
        self.change(account, replace(wanted, prefix="post/", undo=3))
        three = ending_of("incoming/", 30) | ending_of("mail/", 14) | ending_of("post/", 3)
        assert ending(self.rules(account)) == three
        assert notes(self.change(account, None)) == "", "ours, and no rule of others"
        assert ending(self.rules(account)) == three
        self.change(account, replace(wanted, undo=5))
        assert ending(self.rules(account)) == (
            ending_of("incoming/", 5) | ending_of("mail/", 14) | ending_of("post/", 3)
        ), "each prefix once, that of now as it is wanted now"

    def test_a_rule_that_stays_takes_no_mail_away(
        self, account: Account, wanted: SealStack
    ) -> None:
        """Whatever lies below the former prefix now."""
        account.emulator.make_bucket(stack().bucket)
        self.change(account, wanted)
        self.change(account, replace(wanted, prefix="incoming/new/"))
        for rule in self.rules(account).values():
            expiration = rule.get("Expiration", {})
            tagged = "Tags" in rule["Filter"].get("And", {})
            recent = rule["ID"] == "postamt-recent"
            assert "Days" not in expiration or tagged or recent

    def test_what_is_not_found_any_more_is_told(self, account: Account, wanted: SealStack) -> None:
        account.emulator.make_bucket(stack().bucket)
        self.change(account, wanted)
        found = notes(self.change(account, replace(wanted, sealed_prefix="s/")))
        assert "sealed below sealed/ stays there and is not found" in found
        assert "tagged" not in found
        assert notes(self.change(account, None)) == "", "what there is stays as it is"
        off = replace(stack(), sealed_prefix="elsewhere/")
        assert "sealed below s/ stays there and is not found" in notes(
            plan([LifecycleResource(off, account.aws())])
        )
        off = replace(off, sealed_prefix="s/")
        assert notes(plan([LifecycleResource(off, account.aws())])) == ""

    def test_second_copies_below_a_former_prefix_are_told_of(self, account: Account) -> None:
        account.emulator.make_bucket(stack().bucket)
        for prefix, told in (("recent/", False), ("recent/", False), ("fresh/", True)):
            resource = LifecycleResource(replace(stack(), recent_prefix=prefix), account.aws())
            found = plan([resource])
            carry_out(found, account.aws(), lambda *_: None)
            assert ("below recent/ no longer expire" in notes(found)) is told


def ending(rules: dict[str, Any]) -> set[tuple[str, str, int]]:
    """Return what of it ends something that was sealed: the prefix, what, and after how long."""
    found = set()
    for rule in rules.values():
        tagged = rule["Filter"].get("And", {})
        if "Tags" in tagged:
            days = rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
            found.add((tagged["Prefix"], "tagged", days))
        elif rule.get("Expiration") == {"ExpiredObjectDeleteMarker": True}:
            found.add((rule["Filter"]["Prefix"], "markers", 0))
    return found


def ending_of(prefix: str, undo: int) -> set[tuple[str, str, int]]:
    return {(prefix, "tagged", undo), (prefix, "markers", 0)}
