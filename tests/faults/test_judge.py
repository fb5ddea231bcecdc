"""The judge of the campaigns notices what it is there for."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.doubles.sns import Signer
from tests.end_to_end.home import BRUNO
from tests.end_to_end.letters import letter, letter_to_both, put
from tests.end_to_end.webhooks import Reachable
from tests.faults.campaign.judge import judge
from tests.faults.campaign.sender import Sender
from tests.faults.campaign.world import World


@pytest.fixture
def world(tmp_path: Path, s3: S3Double) -> World:
    """A house in which all that was sent has come."""
    home = Reachable(tmp_path, s3.environment(), Signer())
    sender = Sender(home, s3, random.Random(1), rate=1)
    sender.sent += [letter("one"), letter("two", BRUNO), letter_to_both("both")]
    put(s3, *sender.sent)
    assert home.sync()[0] == 0
    return World(home, s3, random.Random(1), sender)


def a_mail(world: World) -> Path:
    return next(path for place, path in world.home.mails() if place.mailbox == "anna")


def is_gone(world: World) -> None:
    a_mail(world).unlink()


def is_there_twice(world: World) -> None:
    path = a_mail(world)
    path.with_name(f"{path.name}x").write_bytes(path.read_bytes())


def has_another_byte(world: World) -> None:
    path = a_mail(world)
    path.write_bytes(path.read_bytes().replace(b"Tea", b"Tee"))


def is_a_draft_still(world: World) -> None:
    (a_mail(world).parents[1] / "tmp" / "draft").write_bytes(b"x")


def was_complained_of(world: World) -> None:
    world.wrong.append("the daemon ended")


def test_what_is_as_it_should_be(world: World) -> None:
    assert judge(world, within=0) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (is_gone, "lost"),
        (is_there_twice, "twice"),
        (has_another_byte, "never sent"),
        (is_a_draft_still, "draft"),
        (was_complained_of, "ended"),
    ],
)
def test_what_is_not(world: World, damage: Callable[[World], None], said: str) -> None:
    damage(world)
    assert any(said in wrong for wrong in judge(world, within=0))
