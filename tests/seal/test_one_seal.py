"""One version, sealed: proved before it may expire, whatever comes between."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from postamt_sync.mail.sealed_name import SealedName, parse
from postamt_sync.seal.one_seal import Outcome, Sealed, Sealer
from postamt_sync.seal.owner_keys import encryption_fingerprints, proof_of
from tests.doubles.versioned_bucket import VersionedBucket
from tests.seal.conftest import Household, MemoryRecords

NOW = datetime(2026, 11, 28, 14, 44, 47, tzinfo=UTC)
MAIL = b"From: a@b\r\n\r\nHello \xff\x00\r\n" * 50
KEY = "incoming/4k1s0v"


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class Scene:
    household: Household
    directory: Path
    bucket: VersionedBucket = field(default_factory=lambda: VersionedBucket(NOW))
    records: MemoryRecords = field(default_factory=MemoryRecords)
    forgotten: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records.prove(self.household.keys)

    @property
    def sealer(self) -> Sealer:
        return Sealer(
            self.bucket,
            "incoming/",
            "sealed/",
            self.household.keys,
            self.records.is_proved,
            self._forget,
            self.directory,
        )

    def _forget(self, key: str) -> None:
        self.bucket.before("forget")
        self.forgotten.append(key)
        self.bucket.after("forget")

    def seal(self, key: str = KEY) -> list[Sealed]:
        return [self.sealer.seal(version) for version in self.bucket.listed(key)]

    def check(self, key: str = KEY) -> None:
        """Each version is tagged and has one sealed object, which either key opens."""
        versions = self.bucket.below(key)[key]
        assert all(version.tags == {"postamt-seal": "sealed"} for version in versions)
        own_id = key.removeprefix("incoming/")
        for version in versions:
            assert version.body is not None
            name = SealedName(own_id, version.modified, version.etag, len(version.body))
            (sealed,) = self.bucket.keys[str(name.key("sealed/"))]
            assert sealed.body is not None
            for which in (0, 1):
                assert self.household.opened(sealed.body, which) == version.body
            assert sealed.metadata == {
                "sha256": hashlib.sha256(version.body).hexdigest(),
                "version": version.id,
                "fingerprints": " ".join(encryption_fingerprints(self.household.keys)),
            }
        assert not any(self.directory.iterdir()), "no mail is left lying"


@pytest.fixture
def scene(household: Household, tmp_path: Path) -> Scene:
    return Scene(household, tmp_path)


def test_a_version_is_sealed_for_all_keys_and_may_expire_then(scene: Scene) -> None:
    scene.bucket.store(KEY, MAIL)
    assert scene.seal() == [Sealed(Outcome.SEALED)]
    scene.check()
    assert scene.forgotten == [KEY]
    assert scene.seal() == [Sealed(Outcome.ALREADY)]
    assert len(scene.bucket.below("sealed/")) == 1


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_mail_of_any_size_is_sealed(scene: Scene, size: int) -> None:
    scene.bucket.store(KEY, b"x" * size)
    assert scene.seal() == [Sealed(Outcome.SEALED)]
    scene.check()


@pytest.mark.parametrize("own_id", ["a b", "Grüße", "a%2F", "a/b.pgp", "..", "x" * 900])
def test_odd_ids_are_sealed_and_read_back_from_the_name(scene: Scene, own_id: str) -> None:
    scene.bucket.store(f"incoming/{own_id}", MAIL)
    assert scene.seal(f"incoming/{own_id}") == [Sealed(Outcome.SEALED)]
    scene.check(f"incoming/{own_id}")
    (sealed,) = scene.bucket.below("sealed/")
    name = parse(sealed, "sealed/")
    assert name is not None
    assert name.id == own_id


def test_an_id_that_leaves_no_room_stays_plain(scene: Scene) -> None:
    key = f"incoming/{'x' * 1_000}"
    scene.bucket.store(key, MAIL)
    assert scene.seal(key) == [Sealed(Outcome.NO_NAME)]
    assert not scene.bucket.keys[key][0].tags


def test_each_content_under_one_key_is_a_sealed_object_of_its_own(scene: Scene) -> None:
    scene.bucket.store(KEY, MAIL)
    scene.bucket.store(KEY, b"another")
    scene.bucket.delete(KEY)
    assert [each.outcome for each in scene.seal()] == [Outcome.SEALED] * 2
    scene.check()
    assert len(scene.bucket.below("sealed/")) == 2
    assert scene.forgotten == [KEY], "the index tells of the newest content"


def test_the_same_content_twice_in_a_second_is_one(scene: Scene) -> None:
    for _ in range(2):
        scene.bucket.store(KEY, MAIL)
    assert [each.outcome for each in scene.seal()] == [Outcome.SEALED] * 2
    assert len(scene.bucket.below("sealed/")) == 1
    assert all(version.tags for version in scene.bucket.keys[KEY])


def _steps(scene: Scene) -> list[str]:
    """Return the steps of one sealing, as they come."""
    steps: list[str] = []
    scene.bucket.store("incoming/trial", MAIL)
    scene.bucket.before = steps.append
    versions = scene.bucket.listed("incoming/trial")
    steps.clear()
    scene.sealer.seal(versions[0])
    scene.bucket.before = lambda _: None
    scene.bucket.keys.clear()
    scene.forgotten.clear()
    return steps


STEPS = ["tags", "read", "put", "read_back", "forget", "tag"]


def test_the_order_of_steps_is_fixed(scene: Scene) -> None:
    assert _steps(scene) == STEPS


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_and_run_again(scene: Scene, step: str, moment: str) -> None:
    scene.bucket.store(KEY, MAIL)
    scene.bucket.store(KEY, b"another")

    def kill(name: str) -> None:
        if name == step:
            raise KilledError

    for _ in range(2):
        for version in scene.bucket.listed(KEY):
            setattr(scene.bucket, moment, kill)
            with contextlib.suppress(KilledError):
                scene.sealer.seal(version)
            setattr(scene.bucket, moment, lambda _: None)
        tagged = [v for v in scene.bucket.keys[KEY] if v.tags and v.body == b"another"]
        assert not tagged or (step, moment) == ("tag", "after")
    assert {each.outcome for each in scene.seal()} <= {Outcome.SEALED, Outcome.ALREADY}
    scene.check()
    assert len(scene.bucket.below("sealed/")) == 2, "nothing is lost, nothing is there twice"
    assert KEY in scene.forgotten


def test_an_error_at_any_step_tags_nothing(scene: Scene) -> None:
    scene.bucket.store(KEY, MAIL)
    (version,) = scene.bucket.listed(KEY)
    for step in STEPS:

        def fail(name: str, step: str = step) -> None:
            if name == step:
                raise ClientError(
                    {
                        "Error": {"Code": "AccessDenied"},
                        "ResponseMetadata": {"HTTPStatusCode": 403},
                    },  # type: ignore[typeddict-item]
                    step,
                )

        scene.bucket.before = fail
        with pytest.raises(ClientError):
            scene.sealer.seal(version)
        scene.bucket.before = lambda _: None
        assert not scene.bucket.keys[KEY][0].tags
        assert not any(scene.directory.iterdir())
    assert scene.seal() == [Sealed(Outcome.SEALED)]
    scene.check()


def test_what_is_stored_wrongly_lets_nothing_expire(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.bucket.store(KEY, MAIL)

    def spoil(name: str) -> None:
        if name == "read_back":
            (sealed,) = scene.bucket.below("sealed/").values()
            sealed[0].body = (sealed[0].body or b"")[:-1] + b"\x00"

    scene.bucket.before = spoil
    assert scene.seal() == [Sealed(Outcome.OTHER_SEAL)]
    assert not scene.bucket.keys[KEY][0].tags
    assert scene.forgotten == []


def test_what_is_stored_without_its_metadata_lets_nothing_expire(scene: Scene) -> None:
    stored = scene.bucket.store(KEY, MAIL)

    def spoil(name: str) -> None:
        if name == "read_back":
            (sealed,) = scene.bucket.below("sealed/").values()
            sealed[0].metadata = {}

    scene.bucket.before = spoil
    assert scene.seal() == [Sealed(Outcome.OTHER_SEAL)]
    assert not stored.tags


def test_what_is_encrypted_for_another_key_than_the_one_named_is_not_stored(scene: Scene) -> None:
    one, other = scene.household.keys
    stored = scene.bucket.store(KEY, MAIL)
    sealer = replace(scene.sealer, keys=[replace(one, encryption=other.encryption)])
    (version,) = scene.bucket.listed(KEY)
    assert sealer.seal(version) == Sealed(Outcome.OTHER_SEAL)
    assert not stored.tags
    assert not scene.bucket.below("sealed/")


@pytest.mark.parametrize(
    "metadata", [{}, {"sha256": "0" * 64}, {"sha256": hashlib.sha256(MAIL).hexdigest()}]
)
def test_something_else_in_its_place_lets_nothing_expire(
    scene: Scene, metadata: dict[str, str]
) -> None:
    stored = scene.bucket.store(KEY, MAIL)
    name = SealedName("4k1s0v", stored.modified, stored.etag, len(MAIL))
    scene.bucket.store(str(name.key("sealed/")), b"not what you think", **metadata)
    assert scene.seal() == [Sealed(Outcome.OTHER_SEAL)]
    assert not stored.tags


def test_an_earlier_seal_counts_only_for_keys_that_were_proved(scene: Scene) -> None:
    stored = scene.bucket.store(KEY, MAIL)
    scene.bucket.before = lambda name: (_ for _ in ()).throw(KilledError) if name == "tag" else None
    with pytest.raises(KilledError):
        scene.seal()
    scene.bucket.before = lambda _: None
    others = Household()
    later = Scene(others, scene.directory, scene.bucket)
    assert later.seal() == [Sealed(Outcome.UNPROVED_SEAL)]
    assert not stored.tags
    later.records.prove(scene.household.keys)
    assert later.seal() == [Sealed(Outcome.SEALED)]
    assert len(scene.bucket.below("sealed/")) == 1
    assert proof_of(others.keys) != proof_of(scene.household.keys)


def test_tagged_without_a_twin_is_told_and_fixed(scene: Scene) -> None:
    stored = scene.bucket.store(KEY, MAIL)
    stored.tags = {"postamt-seal": "sealed"}
    assert scene.sealer.lacks_twin(scene.bucket.listed(KEY)[0])
    assert scene.seal() == [Sealed(Outcome.SEALED, without_twin=True)]
    scene.check()
    assert not scene.sealer.lacks_twin(scene.bucket.listed(KEY)[0])
    assert scene.seal() == [Sealed(Outcome.ALREADY)]


@pytest.mark.parametrize("tags", [{"mine": "1"}, {"postamt-seal": "other"}, {"a": "b", "c": "d"}])
def test_tags_of_others_are_not_replaced(scene: Scene, tags: dict[str, str]) -> None:
    stored = scene.bucket.store(KEY, MAIL)
    stored.tags = dict(tags)
    assert scene.seal() == [Sealed(Outcome.OTHER_TAGS)]
    assert stored.tags == tags
    assert not scene.bucket.below("sealed/")
    assert not scene.sealer.lacks_twin(scene.bucket.listed(KEY)[0])


@pytest.mark.parametrize(
    "metadata",
    [
        {"x-amz-key-v2": "a", "x-amz-iv": "b"},
        {"x-amz-key": "a", "x-amz-iv": "b"},
        {"x-amz-c": "115", "x-amz-3": "a", "x-amz-w": "12"},
        {"x-amz-cek-alg": "AES/CBC/PKCS5Padding"},
    ],
)
def test_what_was_encrypted_before_is_left_to_those_who_can_read_it(
    scene: Scene, metadata: dict[str, str]
) -> None:
    """Its data key is in the metadata, which no sealed object has."""
    stored = scene.bucket.store(KEY, MAIL, **metadata)
    assert scene.seal() == [Sealed(Outcome.ENVELOPED)]
    assert not stored.tags


def test_bytes_that_the_listing_did_not_tell_of_stay_plain(scene: Scene) -> None:
    stored = scene.bucket.store(KEY, MAIL)
    (listed,) = scene.bucket.listed(KEY)
    for wrong in (replace(listed, size=1), replace(listed, etag="0" * 32)):
        assert scene.sealer.seal(wrong) == Sealed(Outcome.OTHER_BYTES)
    assert not stored.tags


def test_mail_in_an_archive_class_stays_and_is_told(scene: Scene) -> None:
    stored = scene.bucket.store(KEY, MAIL)

    def refuse(name: str) -> None:
        if name == "read":
            raise ClientError({"Error": {"Code": "InvalidObjectState"}}, "GetObject")

    scene.bucket.before = refuse
    assert scene.seal() == [Sealed(Outcome.ARCHIVED)]
    assert not stored.tags


def test_where_the_bucket_keeps_no_versions_nothing_is_tagged(scene: Scene) -> None:
    stored = scene.bucket.store(KEY, MAIL)
    (version,) = scene.bucket.listed(KEY)
    keeps = False
    sealer = replace(scene.sealer, keeps_versions=lambda: keeps)
    assert sealer.seal(version) == Sealed(Outcome.UNVERSIONED)
    assert not stored.tags
    keeps = True
    assert sealer.seal(version) == Sealed(Outcome.SEALED)
    scene.check()


def test_the_index_is_told_again_of_what_it_was_to_keep(scene: Scene) -> None:
    for body in (MAIL, b"another"):
        scene.bucket.store(KEY, body)
    keeping = replace(scene.sealer, forget=lambda _: None)
    assert {keeping.seal(v).outcome for v in scene.bucket.listed(KEY)} == {Outcome.SEALED}
    again = replace(scene.sealer, forget_again=True)
    assert {again.seal(v).outcome for v in scene.bucket.listed(KEY)} == {Outcome.ALREADY}
    assert scene.forgotten == [KEY]


def test_a_copy_of_a_tagged_version_is_told_and_then_sealed_as_itself(scene: Scene) -> None:
    """S3 copies tags too: `aws s3 cp` onto itself, or to another key."""
    scene.bucket.store(KEY, MAIL)
    scene.seal()
    for to in (KEY, "incoming/elsewhere"):
        scene.bucket.now += timedelta(days=1)
        copy = scene.bucket.store(to, MAIL)
        copy.tags = {"postamt-seal": "sealed"}
        (listed,) = [v for v in scene.bucket.listed(to) if v.version == copy.id]
        assert scene.sealer.lacks_twin(listed)
        assert scene.sealer.seal(listed) == Sealed(Outcome.SEALED, without_twin=True)
        scene.check(to)
    assert len(scene.bucket.below("sealed/")) == 3
