from __future__ import annotations

import pytest

from tests.doubles.sns import certificate_pem, key_pem, private_key


@pytest.fixture
def pair(tmp_path):
    def write(number=0, key_of=None):
        certificate, key = tmp_path / f"chain{number}.pem", tmp_path / f"key{number}.pem"
        certificate.write_bytes(certificate_pem(private_key(number), name="home.example.com"))
        key.write_bytes(key_pem(private_key(number if key_of is None else key_of)))
        return certificate, key

    return write
