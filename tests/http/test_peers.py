"""Whom connections and requests count for, and what a stranger can make of it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from postamt_sync.http.peers import UNIX_SOCKET, Peer, TrustedProxies, read_address, request_peer

PROXIES = TrustedProxies(["127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"])
PROXY = ("127.0.0.1", 40000)
STRANGER = ("192.0.2.66", 40000)


async def capture() -> web.BaseRequest:
    """Return a request as a server got it."""
    got = []

    async def answer(request: web.BaseRequest) -> web.Response:
        got.append(request)
        return web.Response()

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/"),
    ):
        pass
    await runner.cleanup()
    return got[0]


CAPTURED = asyncio.run(capture())


def request(**headers: str | list[str]) -> web.BaseRequest:
    """Return one with these headers; a list makes several lines."""
    lines = CIMultiDict[str]()
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values:
            lines.add(name.replace("_", "-"), value)
    return CAPTURED.clone(headers=lines)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_one_line_is_one_peer(one: str, other: str, same: bool) -> None:
    assert (request_peer(one) == request_peer(other)) is same
    strangers = TrustedProxies()
    by_connection = {strangers.connection_peer((host, 1, 0, 0)) for host in (one, other)}
    assert (len(by_connection) == 1) is same


def test_a_proxys_connections_are_not_bounded_but_its_requests_are() -> None:
    assert PROXIES.connection_peer(PROXY) == Peer("127.0.0.1", bounded=False)
    assert PROXIES.connection_peer(("::ffff:10.1.2.3", 1, 0, 0)) == Peer("10.1.2.3", bounded=False)
    assert PROXIES.connection_peer("") == Peer(UNIX_SOCKET, bounded=False)
    assert PROXIES.connection_peer(STRANGER) == Peer("192.0.2.66")
    assert request_peer(PROXIES.sender(request(), PROXY)) == Peer("127.0.0.1")
    assert request_peer(PROXIES.sender(request(), "")) == Peer(UNIX_SOCKET)


@pytest.mark.parametrize(
    ("said", "sender"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.9, 192.0.2.1", "192.0.2.1"),  # what a stranger says of himself stands before
        ("192.0.2.1, 10.0.0.3, 127.0.0.1", "192.0.2.1"),
        (["192.0.2.9", "192.0.2.1, 10.0.0.3"], "192.0.2.1"),
        ("192.0.2.1,, ,", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:db8::1, 2001:db8:ffff::7", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("10.0.0.7", "10.0.0.7"),  # a client of our own network
        ("10.0.0.7, 10.0.0.3", "10.0.0.7"),
        ("192.0.2.1, unknown", "127.0.0.1"),
        ("192.0.2.1, _hidden", "127.0.0.1"),
        ("192.0.2.1, 10.0.0.3, x, 10.0.0.4", "127.0.0.1"),
        ("192.0.2.1, \u0661.2.3.4", "127.0.0.1"),
        ("", "127.0.0.1"),
        (",", "127.0.0.1"),
        ("a" * 8000, "127.0.0.1"),
    ],
)
def test_who_is_forwarded_for(said: str | list[str], sender: str) -> None:
    assert PROXIES.sender(request(X_Forwarded_For=said), PROXY) == sender
    assert PROXIES.sender(request(X_Forwarded_For=said), STRANGER) == "192.0.2.66"


@pytest.mark.parametrize(
    ("said", "sender"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ('for="[2001:db8::1]:4711";proto=https', "2001:db8::1"),
        ('For="192.0.2.9", for=192.0.2.1;by=10.0.0.1, for=10.0.0.3', "192.0.2.1"),
        ("for=192.0.2.1, for=unknown", "127.0.0.1"),
        ("for=192.0.2.1, proto=http", "127.0.0.1"),
        ('for="192.0.2.1', "127.0.0.1"),
        (";;;==,", "127.0.0.1"),
    ],
)
def test_rfc_7239(said: str, sender: str) -> None:
    assert PROXIES.sender(request(Forwarded=said), PROXY) == sender
    assert PROXIES.sender(request(Forwarded=said), STRANGER) == "192.0.2.66"


def test_a_header_that_the_proxy_passes_on_unseen_is_not_believed() -> None:
    both = request(Forwarded="for=198.51.100.1", X_Forwarded_For="192.0.2.1")
    assert PROXIES.sender(both, PROXY) == "192.0.2.1"


def test_through_a_unix_socket() -> None:
    assert TrustedProxies().sender(request(X_Forwarded_For="192.0.2.1"), "") == "192.0.2.1"
    assert TrustedProxies().sender(request(X_Forwarded_For="x"), b"\0name") == ""


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_that_is_said_is_too_odd(forwarded_for: str, forwarded: str) -> None:
    for headers in ({"X_Forwarded_For": forwarded_for}, {"Forwarded": forwarded}):
        sender = PROXIES.sender(request(**headers), PROXY)
        assert read_address(sender) is not None
