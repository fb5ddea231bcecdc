"""Keys that a person may have, made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gpg import Gpg


@pytest.fixture(scope="session")
def gpg() -> Iterator[Gpg]:
    """A household's gpg: `owner` has Curve25519, `backup` has RSA."""
    own = Gpg()
    own.make("owner", "future-default", "default", "2y")
    own.make_rsa("backup")
    yield own
    own.close()
