"""We make of a resolv.conf what glibc does: its `res_ninit` was asked about each of these texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.bootstrap.dns.dns_lookup import resolver_at
from postamt_sync.bootstrap.dns.resolv_conf import (
    NOBODY_NAMED,
    ResolvConf,
    parse_resolv_conf,
    read_resolv_conf,
)

NOBODY = list(NOBODY_NAMED)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        (b"nameserver 192.0.2.1\n", ["192.0.2.1"]),
        (b"nameserver 192.0.2.1", ["192.0.2.1"]),
        (b"nameserver\t192.0.2.1\nnameserver \t 192.0.2.2 \t\n", ["192.0.2.1", "192.0.2.2"]),
        (b"search .home\ndomain ..\nsearch\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        (b"search \xff\xfe b\xc3\xbccher\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        (b"nameserver dns.home.example\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        (b"nameserver fritz.box\n", NOBODY),
        (b"# nameserver 192.0.2.9\n;nameserver 192.0.2.9\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        (b"nameserver 192.0.2.1 # the router\n", ["192.0.2.1"]),
        (b"nameserver 192.0.2.1#53\nnameserver 192.0.2.2:53\n", NOBODY),
        (b" nameserver 192.0.2.9\nNameserver 192.0.2.9\nnameserver192.0.2.9\n", NOBODY),
        (b"nameserver\nnameserver \n", NOBODY),
        (b"nameserver 192.0.2.1\r\n", NOBODY),
        (b"nameserver 127.1\nnameserver 0x7f.2\n", ["127.0.0.1", "127.0.0.2"]),
        (b"nameserver 192.0.2.256\nnameserver 192.0.2.1.2\n", NOBODY),
        (b"nameserver 2001:DB8::1\nnameserver ::1\n", ["2001:db8::1", "::1"]),
        (b"nameserver fe80::1%lo\n", ["fe80::1%lo"]),
        (b"nameserver fe80::1%7\n", ["fe80::1%7"]),
        (b"nameserver fe80::1%nowhere9\n", ["fe80::1"]),
        (b"nameserver fe80::1%\n", ["fe80::1"]),
        (b"nameserver [::1]\nnameserver ::g\n", NOBODY),
        (b"".join(b"nameserver 192.0.2.%d\n" % n for n in (1, 2, 3, 4, 5)),
         ["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        (b"nameserver x\nnameserver 192.0.2.1\nnameserver y\nnameserver 192.0.2.2\n",
         ["192.0.2.1", "192.0.2.2"]),
        (b"options ndots:x timeout:-1 nonsense\nsortlist !\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        (b"nameserver 192.0.2.1\x00.9\n\x00\n", ["192.0.2.1"]),
        (b"", NOBODY),
        (b"\n\n# nothing\n", NOBODY),
    ],
)  # fmt: skip
def test_name_servers_are_read_as_glibc_reads_them(text: bytes, servers: list[str]) -> None:
    assert list(parse_resolv_conf(text).servers) == servers


@pytest.mark.parametrize(
    ("text", "rotate"),
    [
        (b"options rotate\n", True),
        (b"options\tndots:2 rotate\n", True),
        (b"options ndots:2\noptions rotate\n", True),
        (b"options ndots:2\n# options rotate\n", False),
        (b"option rotate\n", False),
    ],
)
def test_rotate_is_read_as_glibc_reads_it(text: bytes, rotate: bool) -> None:
    assert parse_resolv_conf(text).rotate is rotate


def test_a_file_that_cannot_be_read_names_nobody(tmp_path: Path) -> None:
    assert read_resolv_conf(tmp_path / "missing") == ResolvConf()
    assert read_resolv_conf(tmp_path) == ResolvConf()
    (tmp_path / "loop").symlink_to("loop")
    assert read_resolv_conf(tmp_path / "loop") == ResolvConf()


def test_the_systems_resolver_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(b"search .home\nnameserver router\nnameserver 192.0.2.7\noptions rotate\n")
    resolver = resolver_at(resolv_conf=path)
    assert (resolver.nameservers, resolver.port) == (["192.0.2.7"], 53)
    assert resolver.rotate
    assert resolver_at(resolv_conf=tmp_path / "missing").nameservers == NOBODY
    path.write_bytes(b"nameserver fe80::1%lo\n")
    assert resolver_at(resolv_conf=path).nameservers == ["fe80::1%lo"]
