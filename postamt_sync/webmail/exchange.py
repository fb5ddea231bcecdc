"""A request and its answer, independent of which front of the webmail speaks HTTP.

A front is either Lambda behind CloudFront, or aiohttp on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

JSON = "application/json"
NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": NOTHING_ALLOWED,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of every answer, unless it has its own of that name."""

LONGEST_QUERY = 16 << 10
"""Characters of a query that are read."""
_MOST_FIELDS = 100

LONGEST_JSON = 64 << 10
"""Bytes of a request's JSON, except for paths that take more."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A browser's request. The names of `headers` are in lower case; `path` is not decoded.

    `peer` is the client's address, which the front has from a source that nobody can forge.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""

    def cookie(self, name: str) -> str:
        """Return the cookie's value, "" if there is none, or several of that name."""
        pairs = (pair.partition("=") for pair in self.headers.get("cookie", "").split(";"))
        found = [value.strip() for key, _, value in pairs if key.strip() == name]
        return found[0] if len(found) == 1 else ""

    def fields(self, longest: int = LONGEST_JSON) -> dict[str, Any]:
        """Return the members of the body, a JSON object. Raises RefusedRequestError."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise RefusedRequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "That is not JSON.")
        if len(self.body) > longest:
            raise RefusedRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too large.")
        try:
            said = json.loads(self.body)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "That is not a JSON object.")
        return said


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What the browser gets. ALWAYS is added to `headers`.

    `cookies` are the values of Set-Cookie, the only header that may occur several times.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    @property
    def all_headers(self) -> dict[str, str]:
        """Return all headers that the front sends, except for the cookies."""
        return ALWAYS | dict(self.headers)


class RefusedRequestError(Exception):
    """A request that gets only this answer. `problem` is a sentence for the user."""

    def __init__(
        self, status: HTTPStatus, problem: str, *, wait: float = 0, code: str = ""
    ) -> None:
        """`wait` is the seconds after which to try again, `code` tells the page what is wrong."""
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.wait = wait
        self.code = code

    @property
    def answer(self) -> WebAnswer:
        said: dict[str, Any] = {"problem": self.problem}
        headers = {"Content-Type": JSON}
        if self.code:
            said["code"] = self.code
        if self.wait:
            seconds = max(1, round(self.wait + 0.499))
            said["wait"] = seconds
            headers["Retry-After"] = str(seconds)
        return WebAnswer(self.status, json.dumps(said).encode(), headers)


def told(
    fields: Mapping[str, Any], status: int = HTTPStatus.OK, cookies: tuple[str, ...] = ()
) -> WebAnswer:
    """Return a JSON answer with these fields."""
    return WebAnswer(status, json.dumps(fields).encode(), {"Content-Type": JSON}, cookies)


def query_fields(query: str) -> dict[str, str]:
    """Return the fields of a query as it is in a URL, each decoded once.

    Of several with the same name the first counts. A query with too many fields has none.
    """
    try:
        pairs = parse_qsl(
            query[:LONGEST_QUERY],
            keep_blank_values=True,
            errors="replace",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        return {}
    return dict(reversed(pairs))


def disposition(name: str) -> str:
    """Return Content-Disposition for a download (RFC 6266). The name is untrusted."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def text_field(fields: Mapping[str, Any], name: str, longest: int = 1_000) -> str:
    """Return a member that must be text, "" if it is absent. Raises RefusedRequestError."""
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, f"{name} is invalid.")
    return value
