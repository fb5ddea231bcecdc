"""What was sealed while the index was to keep its words: it is told of it, and of nothing plain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from postamt_sync.seal import earlier_seals
from postamt_sync.seal.earlier_seals import ALL, EarlierSeals


def sealed_key(name: str, second: int = 0) -> str:
    return f"sealed/{name}/20260101T0000{second:02}Z.abc.3.pgp"


@dataclass
class Bucket:
    keys: list[str]
    plain: set[str] = field(default_factory=set)

    def sealed(self, prefix: str, after: str) -> Iterator[str]:
        yield from (key for key in sorted(self.keys) if key.startswith(prefix) and key > after)

    def has(self, key: str) -> bool:
        return key in self.plain


@dataclass
class Scene:
    bucket: Bucket
    forgotten: list[str] = field(default_factory=list)
    fails: str = ""

    @property
    def earlier(self) -> EarlierSeals:
        return EarlierSeals(self.bucket, "incoming/", "sealed/", self.forget)

    def forget(self, key: str) -> None:
        if key == self.fails:
            raise OSError("no index")
        self.forgotten.append(key)


def test_each_mail_is_told_once_and_what_is_plain_is_left_to_its_own_turn() -> None:
    names = ["a", "a!", "a/b", "Grüße", "new"]
    keys = [sealed_key(name) for name in names] + [sealed_key("a", 7), "sealed/", "sealed/x.pgp"]
    scene = Scene(Bucket(keys, {"incoming/new"}))
    assert list(scene.earlier.told(""))[-1] == ALL
    assert sorted(scene.forgotten) == sorted(f"incoming/{name}" for name in names[:-1])


def test_it_goes_on_behind_what_it_has_told() -> None:
    scene = Scene(Bucket([sealed_key(name) for name in "abc"]))
    scene.fails = "incoming/b"
    telling = scene.earlier.told("")
    assert next(telling) == sealed_key("a")
    with pytest.raises(OSError, match="no index"):
        next(telling)
    scene.fails = ""
    assert list(scene.earlier.told(sealed_key("a"))) == [sealed_key("b"), sealed_key("c"), ALL]
    assert scene.forgotten == ["incoming/a", "incoming/b", "incoming/c"]


def test_a_run_tells_so_many_and_the_next_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_seals, "MOST_IN_A_RUN", 2)
    scene = Scene(Bucket([sealed_key(name, second) for name in "abc" for second in (0, 1)]))
    reached = list(scene.earlier.told(""))[-1]
    assert scene.forgotten == ["incoming/a", "incoming/b"]
    assert reached == sealed_key("b", 1), "all contents of a mail have their turn together"
    assert list(scene.earlier.told(reached))[-1] == ALL
    assert scene.forgotten[2:] == ["incoming/c"]


def test_where_nothing_is_sealed_it_is_done_at_once() -> None:
    assert list(Scene(Bucket([])).earlier.told("")) == [ALL]
