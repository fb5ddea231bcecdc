"""What the S3 double answers, and the ways in which it can go wrong: `s3.next(cut(10))`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Reply:
    """What is about to be answered; a fault returns another one.

    `declared` is a Content-Length that lies, `cut` and `stall` end the body or let it hang after
    so many bytes, `reset` answers nothing at all, `until` answers when it is set.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    declared: int | None = None
    cut: int | None = None
    stall: int | None = None
    reset: bool = False
    until: threading.Event | None = None


Fault = Callable[[Reply], Reply]


def refuse(status: int, code: str, headers: Mapping[str, str] | None = None, **more: str) -> Fault:
    """Answer with S3's Error document; `more` are further elements of it."""
    return lambda _: error(status, code, headers, **more)


def cut(after: int) -> Fault:
    return lambda reply: replace(reply, cut=after)


def stall(after: int) -> Fault:
    return lambda reply: replace(reply, stall=after)


def reset() -> Fault:
    return lambda reply: replace(reply, reset=True)


def hold(until: threading.Event) -> Fault:
    """Let whoever asks wait for the answer until a test has done something else."""
    return lambda reply: replace(reply, until=until)


def declare(length: int) -> Fault:
    """Send another Content-Length than the body has."""
    return lambda reply: replace(reply, declared=length)


def corrupt(at: int) -> Fault:
    """Flip one bit of the body."""
    return lambda reply: replace(
        reply,
        body=reply.body[:at] + bytes([reply.body[at] ^ 1]) + reply.body[at + 1 :],
    )


def send(body: bytes, status: int = 200, **headers: str) -> Fault:
    """Answer something else altogether, with these headers (`_` stands for `-`)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Reply(status, body, named)


def relabel(**headers: str) -> Fault:
    """Change headers of the answer (`_` stands for `-`); "" takes one away."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda reply: replace(
        reply, headers={k: v for k, v in {**reply.headers, **named}.items() if v}
    )


def error(status: int, code: str, headers: Mapping[str, str] | None = None, **more: str) -> Reply:
    """S3's Error document."""
    fields = "".join(element(name, value) for name, value in {"Code": code, **more}.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{fields}</Error>'.encode()
    return Reply(status, body, {"Content-Type": "application/xml", **(headers or {})})


def element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
