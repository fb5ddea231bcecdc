"""Events of an HTTP API (payload format 2.0): turning them into requests, and answers into theirs.

Everything in an event but the context is written by whoever reaches the API, so nothing in it is
taken for granted.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from postamt_sync.webmail.exchange import (
    RefusedRequestError,
    WebAnswer,
    WebRequest,
    query_fields,
)
from postamt_sync.webmail.peer import viewer_address

VIEWER = "cloudfront-viewer-address"
LARGEST_REQUEST = 6 << 20
"""Bytes, as text: more than that Lambda itself does not take."""
LARGEST_ANSWER = 5_900_000
"""Bytes of the whole answer in JSON: above 6 MB Lambda fails, and API Gateway answers 500."""
WORTH_COMPRESSING = 256 << 10
"""Bytes from which on an answer is compressed."""
LONGEST_PATH = 4_096

_METHOD = re.compile(r"[A-Z]{1,20}", re.ASCII)
_AS_TEXT = re.compile(r"text/|application/json\b|image/svg\+xml\b")

Event = Mapping[str, Any]


def event_headers(event: object) -> dict[str, str]:
    """Return the headers by their names in lower case, as far as they are valid.

    If one occurs in two spellings, the values are joined with a comma.
    """
    found: dict[str, str] = {}
    said = event.get("headers") if isinstance(event, Mapping) else None
    for name, value in said.items() if isinstance(said, Mapping) else ():
        if isinstance(name, str) and isinstance(value, str):
            lower = name.strip().lower()
            found[lower] = f"{found[lower]},{value}" if lower in found else value
    cookies = event.get("cookies") if isinstance(event, Mapping) else None
    if isinstance(cookies, list):
        found["cookie"] = "; ".join(each for each in cookies if isinstance(each, str))
    return found


def web_request(event: object, headers: Mapping[str, str]) -> WebRequest:
    """Return the request. Raises RefusedRequestError for what no browser sends.

    The path is not decoded, the query is decoded once. The peer is the one that CloudFront names.
    """
    event = event if isinstance(event, Mapping) else {}
    context = event.get("requestContext")
    http = context.get("http") if isinstance(context, Mapping) else None
    method = http.get("method") if isinstance(http, Mapping) else None
    path, query = event.get("rawPath"), event.get("rawQueryString") or ""
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise _no_request()
    if not isinstance(path, str) or not path.startswith("/") or not isinstance(query, str):
        raise _no_request()
    if len(path) > LONGEST_PATH:
        raise RefusedRequestError(HTTPStatus.REQUEST_URI_TOO_LONG, "That address is too long.")
    return WebRequest(
        method,
        path,
        query_fields(query),
        headers,
        _body(event),
        viewer_address(headers.get(VIEWER, "")),
    )


def accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Tell whether the client takes compressed answers, as all without the header do.

    RFC 9110 section 12.5.3. CloudFront passes the header on only if it is configured to.
    """
    said = headers.get("accept-encoding")
    if said is None:
        return True
    names = (each.partition(";")[0] for each in said.split(","))
    return not {"gzip", "*"}.isdisjoint(name.strip().lower() for name in names)


def event_answer(answer: WebAnswer, *, gzipped: bool = False) -> dict[str, Any]:
    """Return an answer in the form of the HTTP API, or one that says that it is too large.

    `gzipped`: it may be compressed. That is done with large pages, most of which then fit.
    """
    said = _said(answer, gzipped=gzipped and len(answer.body) >= WORTH_COMPRESSING)
    if len(json.dumps(said)) <= LARGEST_ANSWER:
        return said
    refused = RefusedRequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "This is too large to be shown here. Download it, or the whole mail.",
        code="too-large",
    )
    return _said(refused.answer, gzipped=False)


def _said(answer: WebAnswer, *, gzipped: bool) -> dict[str, Any]:
    headers, body = answer.all_headers, answer.body
    said: dict[str, Any] = {
        "statusCode": int(answer.status),
        "headers": headers,
        "cookies": list(answer.cookies),
        "isBase64Encoded": False,
    }
    if _AS_TEXT.match(headers.get("Content-Type", "text/plain")):
        if gzipped:
            body = gzip.compress(body, compresslevel=5, mtime=0)
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        else:
            try:
                return {**said, "body": body.decode()}
            except UnicodeDecodeError:
                pass
    return {**said, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _body(event: Event) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise _no_request()
    if len(body) > LARGEST_REQUEST:
        raise RefusedRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too large.")
    raw = body.encode("utf-8", "surrogatepass")
    if event.get("isBase64Encoded") is not True:
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        raise _no_request() from None


def _no_request() -> RefusedRequestError:
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, "That is not a valid request.")
