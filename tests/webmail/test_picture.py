"""The README's picture of the webmail: small, and shown."""

from __future__ import annotations

import struct

from tests.webmail.picture import HEIGHT, PICTURE, WIDTH


def test_the_picture_in_the_readme_is_small_and_as_it_is_drawn() -> None:
    drawn = PICTURE.read_bytes()
    assert len(drawn) < 150_000
    assert drawn.startswith(b"\x89PNG")
    assert struct.unpack(">II", drawn[16:24]) == (WIDTH, HEIGHT)
    assert "(.github/webmail.png)" in (PICTURE.parents[1] / "README.md").read_text()
