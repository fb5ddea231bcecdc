"""Keys in parameters: read once, again after a while, and again when something does not verify."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.webmail.key_ring import KeyRing
from postamt_sync.webmail.parameter_keys import KEPT_SECONDS, PAUSE_SECONDS, ParameterKeys
from postamt_sync.webmail.tokens import SignedTokens

NAMES = ("/postamt/webmail/session-keys", "/postamt/webmail/device-keys")
DENIED = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetParameters")


class Parameters:
    """SSM, as far as it is asked, and a clock."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.values = {name: KeyRing.new().to_text() for name in NAMES}
        self.asked = 0
        self.fails: Exception | None = None
        self.keys = ParameterKeys(self, NAMES, lambda: self.now)

    def get_parameters(self, Names: list[str], WithDecryption: bool) -> Any:  # noqa: N803
        self.asked += 1
        assert WithDecryption
        if self.fails:
            raise self.fails
        found = [name for name in Names if name in self.values]
        return {
            "Parameters": [{"Name": name, "Value": self.values[name]} for name in found],
            "InvalidParameters": [name for name in Names if name not in self.values],
        }

    def rotate(self, name: str = NAMES[0]) -> None:
        self.values[name] = KeyRing.from_text(self.values[name]).rotated().to_text()


@pytest.fixture
def ssm() -> Parameters:
    return Parameters()


def test_all_are_read_at_once_and_kept_for_a_while(ssm: Parameters) -> None:
    rings = [ssm.keys.of(name) for name in NAMES]
    for _ in range(3):
        assert [ring.current() for ring in rings] == [
            KeyRing.from_text(ssm.values[name]).keys for name in NAMES
        ]
    assert ssm.asked == 1
    ssm.rotate()
    assert len(rings[0].current()) == 1
    ssm.now += KEPT_SECONDS
    assert len(rings[0].current()) == 2
    assert ssm.asked == 2


def test_a_token_of_a_newer_key_is_verified_at_once(ssm: Parameters) -> None:
    old = SignedTokens(ssm.keys.of(NAMES[0]), "host", 3_600, lambda: ssm.now)
    before = old.make()
    ssm.rotate()
    elsewhere = ParameterKeys(ssm, NAMES, lambda: ssm.now).of(NAMES[0])
    newer = SignedTokens(elsewhere, "host", 3_600, lambda: ssm.now).make()
    ssm.now += PAUSE_SECONDS
    assert old.read(newer) is not None
    assert old.read(before) is not None, "the key before goes on verifying"
    ssm.rotate()
    ssm.now += PAUSE_SECONDS
    assert old.read("x.y.z") is None
    assert old.read(before) is None, "two changes end it"


def test_whoever_sends_nonsense_does_not_make_us_ask_oftener(ssm: Parameters) -> None:
    tokens = SignedTokens(ssm.keys.of(NAMES[0]), "host", 3_600, lambda: ssm.now)
    for _ in range(100):
        assert tokens.read("x.y.z") is None
    assert ssm.asked == 1
    ssm.now += PAUSE_SECONDS
    for _ in range(100):
        assert tokens.read("x.y.z") is None
    assert ssm.asked == 2


def test_what_was_read_goes_on_while_ssm_does_not_answer(ssm: Parameters) -> None:
    ring = ssm.keys.of(NAMES[0])
    kept = ring.current()
    ssm.fails = DENIED
    ssm.now += KEPT_SECONDS
    assert ring.current() == kept
    assert ring.newer() is False
    ssm.now += PAUSE_SECONDS
    assert ring.newer() is False
    assert ring.current() == kept
    ssm.fails = None
    ssm.values[NAMES[0]] = "broken"
    ssm.now += KEPT_SECONDS
    assert ring.current() == kept


@pytest.mark.parametrize("value", [None, "", "short", "ä" * 50, "===="])
def test_without_keys_nothing_is_signed_or_verified(ssm: Parameters, value: str | None) -> None:
    if value is None:
        del ssm.values[NAMES[1]]
    else:
        ssm.values[NAMES[1]] = value
    for name in NAMES:
        with pytest.raises(BotoCoreError, match="device-keys bears no keys"):
            ssm.keys.of(name).current()


def test_the_first_answer_that_fails_is_told(ssm: Parameters) -> None:
    ssm.fails = DENIED
    with pytest.raises(ClientError):
        ssm.keys.of(NAMES[0]).current()
    ssm.fails = None
    assert ssm.keys.of(NAMES[0]).current()
