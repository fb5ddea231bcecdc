"""A versioned bucket in memory, as the sealing function sees it, that ages by lifecycle rules.

Emulators have no lifecycle; this plays the parts of it that our rules use (S3 User Guide, "Managing
the lifecycle of objects"): expiry of what bears a tag, of versions that are current no more, and of
delete markers behind which nothing lies. Its clock stands until `pass_time`. S3 runs the rules once
a day, at midnight UTC, and rounds up to the next one.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from postamt_sync.mail.client_encryption import is_client_encrypted
from postamt_sync.seal.packets import HEAD
from postamt_sync.seal.sealer_bucket import PlainVersion, ReadPlain, StoredSeal

DAY = timedelta(days=1)


@dataclass
class Version:
    """A version of an object, or a delete marker (`body` None)."""

    id: str
    modified: datetime
    body: bytes | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    superseded: datetime | None = None
    """Since when it is not the current one."""

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body or b"", usedforsecurity=False).hexdigest()


class VersionedBucket:
    """`before` runs ahead of each call with its name: it may raise, to kill the caller there."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.keys: dict[str, list[Version]] = {}
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        self._ids = itertools.count(1)

    # What SES, the person and S3 do.

    def store(self, key: str, body: bytes, **metadata: str) -> Version:
        """Put an object, over whatever is there."""
        return self._append(key, Version(f"v{next(self._ids)}", self.now, body, metadata))

    def delete(self, key: str) -> None:
        """Delete as a person does who names no version."""
        self._append(key, Version(f"m{next(self._ids)}", self.now, None))

    def _append(self, key: str, version: Version) -> Version:
        there = self.keys.setdefault(key, [])
        if there:
            there[-1].superseded = self.now
        there.append(version)
        return version

    def below(self, prefix: str) -> dict[str, list[Version]]:
        """Return versions with bytes in them, current or not, by key."""
        return {
            key: found
            for key, versions in self.keys.items()
            if key.startswith(prefix) and (found := [v for v in versions if v.body is not None])
        }

    def pass_time(self, until: datetime, rules: list[dict[str, Any]]) -> None:
        """Let the clock run; at each midnight the rules are carried out."""
        while self.now < until:
            midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
            if midnight > until:
                self.now = until
                return
            self.now = midnight
            for rule in rules:
                if rule["Status"] == "Enabled":
                    self._carry_out(rule)
            self.keys = {key: versions for key, versions in self.keys.items() if versions}

    def _carry_out(self, rule: Mapping[str, Any]) -> None:
        both = rule["Filter"].get("And", rule["Filter"])
        tags = {tag["Key"]: tag["Value"] for tag in both.get("Tags", [])}
        if "Tag" in both:
            tags[both["Tag"]["Key"]] = both["Tag"]["Value"]
        expiration = rule.get("Expiration", {})
        noncurrent = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
        assert not (tags and "ExpiredObjectDeleteMarker" in expiration), "S3 refuses such a rule"
        markers = not tags and ("Days" in expiration or "ExpiredObjectDeleteMarker" in expiration)
        for key in [key for key in self.keys if key.startswith(both.get("Prefix", ""))]:
            versions = self.keys[key]
            if noncurrent is not None:
                versions[:] = [v for v in versions if not self._has_ended(v, tags, noncurrent)]
            if versions and versions[-1].body is not None:
                self._expire(key, versions[-1], tags, expiration.get("Days"))
            elif len(versions) == 1 and markers:
                versions.clear()

    def _has_ended(self, version: Version, tags: Mapping[str, str], days: int) -> bool:
        if version.superseded is None or (tags and version.body is None):
            return False
        bears = version.tags.items() >= tags.items()
        return bears and self._is_over(version.superseded, days)

    def _expire(
        self, key: str, version: Version, tags: Mapping[str, str], days: int | None
    ) -> None:
        bears = version.tags.items() >= tags.items()
        if days is not None and bears and self._is_over(version.modified, days):
            self.delete(key)

    def _is_over(self, since: datetime, days: int) -> bool:
        due = (since + timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
        return self.now >= due + DAY

    # What the sealing function does.

    def versions(self, prefix: str, after: str = "") -> Iterator[PlainVersion]:
        self._step("versions")
        for key in sorted(self.keys, key=str.encode):
            if key.startswith(prefix) and key.encode() > after.encode():
                newest = True
                for version in reversed(self.keys.get(key, [])):
                    if version.body is not None:
                        yield self._listed(key, version, newest)
                        newest = False

    def _listed(self, key: str, version: Version, newest: bool = True) -> PlainVersion:
        assert version.body is not None
        modified = version.modified.replace(microsecond=0)
        return PlainVersion(
            *(key, version.id, modified, version.etag, len(version.body)),
            newest=newest,
            current=version.superseded is None,
        )

    def listed(self, key: str) -> list[PlainVersion]:
        return [version for version in self.versions(key) if version.key == key]

    def tags(self, version: PlainVersion) -> dict[str, str]:
        with _Step(self, "tags"):
            return dict(self._find(version).tags)

    def tag(self, version: PlainVersion) -> None:
        with _Step(self, "tag"):
            self._find(version).tags = {"postamt-seal": "sealed"}

    def read(self, version: PlainVersion, path: str) -> ReadPlain:
        with _Step(self, "read"):
            found = self._find(version)
            assert found.body is not None
            Path(path).write_bytes(found.body)
            return ReadPlain(
                len(found.body),
                hashlib.sha256(found.body).hexdigest(),
                hashlib.md5(found.body, usedforsecurity=False).hexdigest(),
                True,
                is_client_encrypted(found.metadata),
            )

    def put(self, key: str, path: str, sha256: str, metadata: Mapping[str, str]) -> bool:
        with _Step(self, "put"):
            body = Path(path).read_bytes()
            assert hashlib.sha256(body).hexdigest() == sha256, "S3 refuses it"
            if self.has_object(key):
                return False
            self.store(key, body, **metadata)
            return True

    def has_object(self, key: str) -> bool:
        return bool(self.keys.get(key)) and self.keys[key][-1].body is not None

    def has(self, key: str) -> bool:
        with _Step(self, "has"):
            return self.has_object(key)

    def read_back(self, key: str) -> StoredSeal:
        with _Step(self, "read_back"):
            current = self.keys[key][-1]
            assert current.body is not None
            digest = hashlib.sha256(current.body).hexdigest()
            return StoredSeal(
                len(current.body), digest, current.body[:HEAD], dict(current.metadata)
            )

    def _find(self, version: PlainVersion) -> Version:
        return next(v for v in self.keys[version.key] if v.id == version.version)

    def _step(self, name: str) -> None:
        self.before(name)


@dataclass
class _Step:
    bucket: VersionedBucket
    name: str

    def __enter__(self) -> None:
        self.bucket.before(self.name)

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.bucket.after(self.name)


def midnight(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)
