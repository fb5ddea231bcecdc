"""A small S3 of the tests' own: real HTTP, real signatures, every key that AWS allows, and faults.

    async with S3Double() as s3:
        s3.put("incoming/a", b"mail")
        s3.next(refuse(503, "SlowDown"), times=2)
        async with Bucket(s3.bucket, s3.region, session=s3.session()) as bucket: ...

`S3Double.in_thread()` is the same for tests without an event loop and for other processes, which
find it by `s3.environment()`. botocore's own signer judges every request.
"""

from __future__ import annotations

import asyncio
import base64
import calendar
import contextlib
import hashlib
import math
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, quote, unquote_to_bytes
from xml.sax.saxutils import escape

import boto3
from aiohttp import web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.doubles.s3_faults import Fault, Reply, element, error
from tests.support.aws_session import core_session

ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
SKEW_ALLOWED = 900

Asked = Literal["anything", "listings", "objects"]


@dataclass(frozen=True)
class Stored:
    body: bytes
    etag: str
    last_modified: float
    storage_class: str
    restored: bool
    headers: Mapping[str, str]


class S3Double:
    """One bucket on loopback. Its clock runs `clock_ahead` seconds before ours."""

    def __init__(
        self,
        bucket: str = "mail",
        region: str = "eu-west-1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.bucket = bucket
        self.region = region
        self._tls = tls
        self.access_key = "AKIADOUBLE"
        self.secret_key = "double/secret+key"
        self.token: str | None = None
        self.page_size = 1000
        self.minds_if_match = True
        self.clock_ahead = 0.0
        self.restore_seconds = 0.0
        """How long an archive takes to give an object out."""
        self.restores: dict[str, float] = {}
        """When what was asked out of an archive can be read, by key, on our clock."""
        self.endpoint = ""
        self.gets = 0
        self.lists = 0
        self.requests: list[Mapping[str, str]] = []
        """The headers of every request, names in lower case."""
        self.targets: list[str] = []
        """Path and query of every request, as they came."""
        self.objects: dict[str, Stored] = {}
        self._faults: list[tuple[Asked, Fault]] = []
        self._closing = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.endpoint = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    @classmethod
    @contextlib.contextmanager
    def in_thread(cls, bucket: str = "mail", region: str = "eu-west-1") -> Iterator[Self]:
        """Run one in a thread of its own; `put`, `next` and the counters may be used from here."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        async def make() -> Self:
            return await cls(bucket, region).__aenter__()

        double = asyncio.run_coroutine_threadsafe(make(), loop).result(60)
        try:
            yield double
        finally:
            asyncio.run_coroutine_threadsafe(double.__aexit__(), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(60)
            loop.close()

    def put(
        self,
        key: str,
        body: bytes = b"",
        *,
        etag: str | None = None,
        last_modified: float | None = None,
        storage_class: str = "STANDARD",
        restored: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Stored:
        """Store an object; `headers` come with its GET (x-amz-meta-..., Content-Encoding ...)."""
        stored = Stored(
            body,
            etag or hashlib.md5(body).hexdigest(),
            time.time() if last_modified is None else last_modified,
            storage_class,
            restored,
            headers or {},
        )
        self.objects[key] = stored
        return stored

    def next(self, fault: Fault, times: int = 1, of: Asked = "anything") -> None:
        """Let the next requests, as many as `times`, meet this fault.

        A program that lists and fetches at once sends both in no order that holds: say with `of`
        which of them shall meet it.
        """
        self._faults += [(of, fault)] * times

    def heal(self) -> None:
        """Forget the faults that have not struck yet."""
        self._faults.clear()

    def environment(self) -> dict[str, str]:
        """What makes boto3 of another process use this bucket."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        } | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})

    def session(self) -> boto3.Session:
        """A session that knows this bucket, without touching the environment of the process."""
        return session_for(self.endpoint, self.access_key, self.secret_key, self.token)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        self.targets.append(request.raw_path)
        reply = self._checked(request) or self._answer(request)
        return await self._send(request, self._fault(request)(reply))

    def _fault(self, request: web.BaseRequest) -> Fault:
        """Take the first fault that is meant for this request; without one it stays right."""
        _, _, key = request.path.removeprefix("/").partition("/")
        meant = ("anything", "objects" if key else "listings")
        for at, (of, fault) in enumerate(self._faults):
            if of in meant:
                del self._faults[at]
                return fault
        return lambda reply: reply

    async def _send(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        assert request.transport is not None
        while not (reply.until is None or reply.until.is_set() or self._closing.is_set()):
            await asyncio.sleep(0.01)
        response = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
        if reply.reset:
            request.transport.abort()
            return response
        declared = len(reply.body) if reply.declared is None else reply.declared
        response.content_length = declared
        response.headers["Date"] = formatdate(self._now(), usegmt=True)
        await response.prepare(request)
        whole = reply.cut is None and reply.stall is None
        body = reply.body if whole else reply.body[: (reply.cut or 0) + (reply.stall or 0)]
        await response.write(body[:declared])
        if reply.stall is not None:
            await self._closing.wait()
        elif len(body) < declared:
            request.transport.close()
        elif len(body) > declared:
            request.transport.write(body[declared:])
        return response

    def _now(self) -> float:
        return time.time() + self.clock_ahead

    def _checked(self, request: web.BaseRequest) -> Reply | None:
        """Judge the signature as S3 does; None if it is right."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        parts = dict(p.strip().split("=", 1) for p in rest.split(",") if "=" in p)
        scope = parts.get("Credential", "").split("/")
        if scheme != "AWS4-HMAC-SHA256" or len(scope) != 5:
            return error(403, "AccessDenied")
        if scope[0] != self.access_key:
            return error(403, "InvalidAccessKeyId")
        if scope[2] != self.region:
            here = {"x-amz-bucket-region": self.region}
            return error(400, "AuthorizationHeaderMalformed", here, Region=self.region)
        if not self._signed(request, parts):
            return error(403, "SignatureDoesNotMatch")
        return self._untimely(request)

    def _untimely(self, request: web.BaseRequest) -> Reply | None:
        if request.headers.get("X-Amz-Security-Token") != self.token:
            return error(400, "InvalidToken")
        asked = calendar.timegm(time.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
        late = abs(self._now() - asked) > SKEW_ALLOWED
        return error(403, "RequestTimeTooSkewed") if late else None

    def _signed(self, request: web.BaseRequest, parts: Mapping[str, str]) -> bool:
        signed = parts.get("SignedHeaders", "").split(";")
        must = {n.lower() for n in request.headers if n.lower().startswith("x-amz-")} | {"host"}
        return must <= set(signed) and parts.get("Signature") == self._signature(request, signed)

    def _signature(self, request: web.BaseRequest, signed: list[str]) -> str:
        auth = S3SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", self.region)
        again = AWSRequest(
            request.method,
            f"http://{request.host}{request.raw_path}",
            headers={name: request.headers.get(name, "") for name in signed},
        )
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        text = auth.string_to_sign(again, auth.canonical_request(again))
        signature: str = auth.signature(text, again)
        return signature

    def _answer(self, request: web.BaseRequest) -> Reply:
        path, _, query = request.raw_path.partition("?")
        bucket, slash, key = path[1:].partition("/")
        if bucket != self.bucket:
            return error(404, "NoSuchBucket")
        if request.method == "POST":
            return self._restore(unquote_to_bytes(key).decode(), query)
        if slash and key:
            self.gets += 1
            return self._object(unquote_to_bytes(key).decode(), request.headers)
        self.lists += 1
        return self.listing(dict(parse_qsl(query, keep_blank_values=True)))

    def _object(self, key: str, asked: Mapping[str, str]) -> Reply:
        stored = self.objects.get(key)
        if stored is None:
            return error(404, "NoSuchKey", Key=quote(key))
        if stored.storage_class in ARCHIVED and not self._is_restored(key):
            return error(403, "InvalidObjectState", StorageClass=stored.storage_class)
        if self.minds_if_match and asked.get("If-Match", f'"{stored.etag}"') != f'"{stored.etag}"':
            return error(412, "PreconditionFailed", Condition="If-Match")
        headers = {
            "ETag": f'"{stored.etag}"',
            "Last-Modified": formatdate(stored.last_modified, usegmt=True),
            **stored.headers,
        }
        if stored.storage_class != "STANDARD":
            headers["x-amz-storage-class"] = stored.storage_class
        first, dash, last = asked.get("Range", "").removeprefix("bytes=").partition("-")
        if not dash:
            return Reply(200, stored.body, headers)
        end = min(int(last or len(stored.body)) + 1, len(stored.body))
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(stored.body)}"
        return Reply(206, stored.body[int(first) : end], headers)

    def _restore(self, key: str, query: str) -> Reply:
        """RestoreObject, which takes its time."""
        stored = self.objects.get(key)
        if query != "restore":
            return error(405, "MethodNotAllowed")
        if stored is None:
            return error(404, "NoSuchKey", Key=quote(key))
        if stored.storage_class not in ARCHIVED:
            return error(403, "InvalidObjectState", StorageClass=stored.storage_class)
        if key in self.restores and not self._is_restored(key):
            return error(409, "RestoreAlreadyInProgress")
        self.restores.setdefault(key, time.time() + self.restore_seconds)
        return Reply(202)

    def _is_restored(self, key: str) -> bool:
        return self.objects[key].restored or self.restores.get(key, math.inf) <= time.time()

    def listing(self, asked: Mapping[str, str]) -> Reply:
        prefix = asked.get("prefix", "")
        token = base64.urlsafe_b64decode(asked.get("continuation-token", "")).decode()
        after = token or asked.get("start-after", "")
        size = min(int(asked.get("max-keys", 1000)), self.page_size)
        # Code points sort as their UTF-8 bytes do.
        keys = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        encoded = asked.get("encoding-type") == "url"
        more = len(keys) > size
        page = keys[:size]
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
            element("Name", self.bucket),
            element("Prefix", _written(prefix, encoded)),
        ]
        if more:
            token = base64.urlsafe_b64encode(page[-1].encode()).decode()
            lines.append(element("NextContinuationToken", token))
        lines += [element("KeyCount", str(len(page))), element("MaxKeys", "1000")]
        lines += [element("EncodingType", "url")] if encoded else []
        lines.append(element("IsTruncated", str(more).lower()))
        lines += [self._row(key, _written(key, encoded), asked) for key in page]
        lines.append("</ListBucketResult>")
        return Reply(200, "".join(lines).encode(), {"Content-Type": "application/xml"})

    def _row(self, key: str, written: str, asked: Mapping[str, str]) -> str:
        stored = self.objects[key]
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(stored.last_modified))
        restore = (
            "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
            "<RestoreExpiryDate>2099-01-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"
        )
        return (
            f"<Contents>{element('Key', written)}{element('LastModified', moment)}"
            f"<ETag>&quot;{escape(stored.etag)}&quot;</ETag>"
            f"{element('Size', str(len(stored.body)))}"
            f"{element('StorageClass', stored.storage_class)}"
            f"{restore if self._is_restored(key) else ''}</Contents>"
        )


def session_for(
    endpoint: str, access_key: str, secret_key: str, token: str | None = None
) -> boto3.Session:
    """A boto3 session for a server on loopback, told by a profile and not by the environment."""
    own: Any = core_session()
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "config"
        config.write_text(f"[profile double]\nendpoint_url = {endpoint}\n")
        own.set_config_variable("config_file", str(config))
        own.set_config_variable("credentials_file", str(config))
        own.set_config_variable("profile", "double")
        _ = own.full_config  # read while the file is there
    own.set_credentials(access_key, secret_key, token)
    return boto3.Session(botocore_session=own)


def _written(key: str, encoded: bool) -> str:
    """As S3 writes a key with encoding-type=url: form style, slashes kept."""
    return quote(key, safe="/*-._ ").replace(" ", "+") if encoded else key
