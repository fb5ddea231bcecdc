from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any

import pytest

from postamt_sync.setup.box_address import leads_nowhere, own_address


def refusing(code: int) -> Any:
    def ask(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "said")

    return ask


@pytest.mark.parametrize(
    ("ask", "nowhere"),
    [
        (lambda *_, **__: [("address",)], False),
        (refusing(socket.EAI_NONAME), True),
        (refusing(socket.EAI_NODATA), True),
        (refusing(socket.EAI_AGAIN), False),  # the network is away: nobody knows
        (lambda *_, **__: time.sleep(1), False),
    ],
)
def test_only_an_answer_says_that_a_name_leads_nowhere(ask: Any, nowhere: bool) -> None:
    assert leads_nowhere("mail.example.org", ask, seconds=0.05) is nowhere


def test_an_own_address_is_one_that_others_can_type() -> None:
    if address := own_address():
        assert not ipaddress.ip_address(address).is_loopback
