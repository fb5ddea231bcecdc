"""A big mail never lies in memory, and several at once do not either."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double

MB = 1 << 20
SIZE = 40 * MB
AT_MOST = 24
"""MB; one of the mails held whole would be more."""


@pytest.mark.slow
def test_three_mails_of_40_mb_for_two_mailboxes(tmp_path: Path) -> None:
    body = b"Subject: big\r\n\r\n" + random.Random(1).randbytes(MB) * (SIZE // MB)
    keys = [f"incoming/{number}" for number in range(3)]
    with S3Double.in_thread() as s3:
        s3.put("incoming/small", b"Subject: small\r\n\r\n" + b"x" * MB)
        for key in keys:
            s3.put(key, body)
        # A header that never ends must not be waited for.
        s3.put("incoming/head", b"Subject: " + b"x" * SIZE)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        said = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.delivery.streaming",
                tmp_path,
                "incoming/small",
                *keys,
                "incoming/head",
            ],
            cwd=Path(__file__).parents[2],
            env=inherited | s3.environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        gets = s3.gets
    assert gets == 5
    assert float(said.stdout) < AT_MOST
    expected = hashlib.sha256(body).hexdigest()
    for name in ("anna", "bruno"):
        sizes = {p: p.stat().st_size for p in (tmp_path / "mail" / name / "new").iterdir()}
        assert sorted(sizes.values())[1:] == [SIZE + 9, *[len(body)] * 3]
        mails = [path for path, size in sizes.items() if size == len(body)]
        for mail in mails:
            with mail.open("rb") as file:
                assert hashlib.file_digest(file, "sha256").hexdigest() == expected
            assert f",S={len(body)}," in mail.name
