from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.machines import MACHINES, Machine
from tests.host.served import Served, household


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    return MACHINES[request.param]()


@pytest.fixture(scope="module")
def home(machine: Machine) -> Iterator[Served]:
    """Serve a household to all the tests of a module: a test counts from what is there."""
    with household(machine) as home:
        home.write()
        home.start()
        yield home
