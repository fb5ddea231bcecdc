from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.machines import MACHINES, Machine
from tests.host.served import Served, household

NEED_ROOT = MACHINES.keys() - {"installed"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.root) if name in NEED_ROOT else name
        for name in MACHINES
    ],
)
def machine(request: pytest.FixtureRequest) -> Machine:
    return MACHINES[request.param]()


@pytest.fixture(scope="module")
def home(machine: Machine) -> Iterator[Served]:
    """Serve a household to all the tests of a module: a test counts from what is there."""
    with household(machine) as home:
        home.write()
        home.start()
        yield home
