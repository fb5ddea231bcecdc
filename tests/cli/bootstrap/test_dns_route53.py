from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from postamt_sync.bootstrap.hosted_zone import HostedZone, read
from postamt_sync.bootstrap.route53 import plan_zone
from postamt_sync.cli.bootstrap.dns_route53 import write
from postamt_sync.errors import TryLaterError
from tests.bootstrap.household import wanted
from tests.doubles.moto import Moto


@pytest.fixture
def client(emulator: Moto) -> Any:
    return emulator.client("route53")


def test_a_zone_that_changed_meanwhile_is_told_from_other_trouble(client: Any) -> None:
    made = client.create_hosted_zone(Name="meanwhile.example.com", CallerReference="1")
    zone = HostedZone(made["HostedZone"]["Id"].rpartition("/")[2], "meanwhile.example.com")
    plan = plan_zone(read(client, zone), wanted(domains=("meanwhile.example.com",)))
    write(client, plan)
    with pytest.raises(TryLaterError, match="changed by somebody else meanwhile") as caught:
        write(client, plan)
    assert "bootstrap dns --route53" in caught.value.hint
    nowhere = replace(plan, zone=HostedZone("ZNOTHERE", "gone.example.com"))
    with pytest.raises(TryLaterError, match="could not be asked"):
        write(client, nowhere)
