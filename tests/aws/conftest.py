from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.aws.lambda_runtime import RUNTIME, of_runtime
from tests.doubles.moto import Moto, moto


@pytest.fixture(scope="module")
def cloud() -> Iterator[Moto]:
    with moto() as cloud:
        yield cloud


@pytest.fixture(params=[RUNTIME, "ours"])
def python(request: pytest.FixtureRequest) -> str:
    """The Python of Lambda's runtime; and ours, which is there in any case."""
    if request.param == "ours":
        return sys.executable
    found = of_runtime()
    if found is None:
        pytest.skip(f"there is no {RUNTIME} here, the Python that Lambda runs the zip in")
    return found
