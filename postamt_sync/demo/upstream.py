"""The emulator behind the small SNS: all that SNS does not do itself is asked of it, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from postamt_sync.errors import TryLaterError

HOP_BY_HOP = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
)
LONG_POLL = 20
"""Seconds that SQS keeps a question for messages open (its longest)."""


class Upstream:
    """Talks to the emulator without waiting for threads, so that it can be stopped at any time."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        self._session = aiohttp.ClientSession(
            auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, bytes]:
        """Pass a request on as it came; return status, content type and body of the answer."""
        kept = {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
        assert self._session is not None
        async with self._session.request(
            method, self.url + path, headers=kept, data=body, allow_redirects=False
        ) as response:
            kind = response.headers.get("Content-Type", "text/xml")
            return response.status, kind, await response.read()

    async def sns(self, region: str, action: str, **parameters: str) -> bytes:
        """Ask the emulator's own SNS; raises if it refuses."""
        form = aiohttp.FormData({"Action": action, "Version": "2010-03-31", **parameters})
        headers = {"Authorization": _authorization(region, "sns")}
        assert self._session is not None
        async with self._session.post(self.url + "/", data=form, headers=headers) as response:
            body = await response.read()
        if response.status != 200:
            raise TryLaterError(f"The emulator refused SNS {action} ({response.status}).")
        return body

    async def sqs(self, region: str, action: str, **parameters: Any) -> dict[str, Any]:
        """Ask the emulator's SQS (JSON protocol); raises if it refuses."""
        headers = {
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": _authorization(region, "sqs"),
        }
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=LONG_POLL + 30)
        async with self._session.post(
            self.url + "/", json=parameters, headers=headers, timeout=timeout
        ) as response:
            if response.status != 200:
                raise TryLaterError(f"The emulator refused SQS {action} ({response.status}).")
            answer: dict[str, Any] = await response.json(content_type=None)
            return answer

    async def send(self, queue_arn: str, body: str) -> None:
        """Put a body into the queue with this ARN, which need not exist."""
        region, account, name = queue_arn.split(":")[3:6]
        url = f"{self.url}/{account}/{name}"
        try:
            await self.sqs(region, "SendMessage", QueueUrl=url, MessageBody=body)
        except (TryLaterError, aiohttp.ClientError):
            # SNS drops what its subscriber's queue does not take, and so must its double.
            return


def _authorization(region: str, service: str) -> str:
    """The emulator reads region and service off the credential scope and checks nothing else."""
    scope = f"demo/20260101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
