from __future__ import annotations

import pytest

from postamt_sync.config import ListenAddress
from postamt_sync.config.listen import one_or_many, parse_listen


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("0.0.0.0:8443", "0.0.0.0", 8443, False),
        ("[::]:8443", "::", 8443, False),
        ("[0:0:0:0:0:0:0:1]:1", "::1", 1, True),
        ("127.0.0.9:0", "127.0.0.9", 0, True),
        ("localhost:65535", "localhost", 65535, True),
        ("box.example.com:443", "box.example.com", 443, False),
    ],
)
def test_host_and_port(text: str, host: str, port: int, loopback: bool) -> None:
    address = parse_listen(text)
    assert address == ListenAddress(host, port)
    assert address.is_loopback is loopback
    assert parse_listen(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8443",
        ":8443",
        "*:8443",
        "host:",
        "host:x",
        "host:65536",
        "::1:8443",
        "[::1]",
        "[x]:1",
        "[127.0.0.1]:1",
        "a b:1",
        "h:1\n",
        "h:\u0661",
        "h:-1",
        "https://h:1",
        8443,
    ],
)
def test_refused_in_one_sentence(text: object) -> None:
    with pytest.raises(ValueError, match=r"^must .*\.$"):
        parse_listen(text)


def test_one_or_many() -> None:
    assert one_or_many("[::]:1") == ["[::]:1"]
    assert one_or_many('["a:1", "b:2"]') == ["a:1", "b:2"]
    assert one_or_many(["a:1"]) == ["a:1"]
    assert one_or_many("3") == ["3"]
