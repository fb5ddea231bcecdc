"""The webmail at AWS: a Lambda function behind an HTTP API behind CloudFront.

Requests that did not come through CloudFront are refused before anything else: the API has a public
address of its own, where the peer could claim any address.
"""

from __future__ import annotations

import functools
import hmac
import json
import os
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.webmail.exchange import RefusedRequestError, WebAnswer
from postamt_sync.webmail.function_event import (
    accepts_gzip,
    event_answer,
    event_headers,
    web_request,
)
from postamt_sync.webmail.function_ports import FunctionPorts
from postamt_sync.webmail.function_settings import FunctionSettings
from postamt_sync.webmail.key_ring import SECRET_HEADER
from postamt_sync.webmail.parameter_keys import ParameterKeyRing
from postamt_sync.webmail.webmail import Say, Webmail


class LambdaFront:
    """Answers events. It never raises."""

    def __init__(self, secret: ParameterKeyRing, webmail: Callable[[], Webmail], say: Say) -> None:
        """`secret` is what CloudFront sends, `webmail` returns the one for the current routes."""
        self._secret = secret
        self._webmail = webmail
        self._say = say

    def answer(self, event: object) -> dict[str, Any]:
        """Return the answer to an event, in the form of the HTTP API."""
        headers = event_headers(event)
        try:
            answer = self._answer(event, headers)
        except RefusedRequestError as refused:
            answer = refused.answer
        except (ClientError, BotoCoreError) as error:
            answer = self._unwell("webmail: AWS refused", error)
        except Exception as error:  # noqa: BLE001  API Gateway would make a 500 of it
            answer = self._unwell("webmail: unexpected", error)
        return event_answer(answer, gzipped=accepts_gzip(headers))

    def _answer(self, event: object, headers: dict[str, str]) -> WebAnswer:
        given = headers.pop(SECRET_HEADER, "")
        if not given or not self._is_ours(given):
            raise RefusedRequestError(HTTPStatus.FORBIDDEN, "There is nothing here.")
        return self._webmail().answer(web_request(event, headers))

    def _is_ours(self, given: str) -> bool:
        """Tell whether the request is from CloudFront, by the current or the previous secret."""
        return self._fits(given) or (self._secret.newer() and self._fits(given))

    def _fits(self, given: str) -> bool:
        word = given.encode("utf-8", "surrogatepass")
        # Always compare all of them, to take the same time.
        return sum(hmac.compare_digest(word, each.encode()) for each in self._secret.words) > 0

    def _unwell(self, event: str, error: Exception) -> WebAnswer:
        self._say("error", event, {"reason": _reason(error)})
        return RefusedRequestError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The webmail is not working properly. Try again in a moment.",
            wait=5,
        ).answer


def handle(event: object, context: object = None) -> dict[str, Any]:  # noqa: ARG001
    """Answer one event. Lambda calls this."""
    try:
        front = own_front()
    except Exception as error:  # noqa: BLE001  for the log only
        _say("error", "webmail: cannot start", {"reason": f"{type(error).__name__}: {error}"})
        return event_answer(
            RefusedRequestError(
                HTTPStatus.SERVICE_UNAVAILABLE, "The webmail is not set up correctly."
            ).answer
        )
    return front.answer(event)


@functools.cache
def own_front() -> LambdaFront:
    """Return the front of this process, which is made once from its environment."""
    ports = FunctionPorts(FunctionSettings.read(os.environ), os.environ["AWS_REGION"], _say)
    return LambdaFront(ports.origin_secret, ports.webmail, _say)


def _say(level: str, event: str, fields: Mapping[str, object]) -> None:
    line = {"level": level, "event": event, "at": round(time.time(), 3), **fields}
    print(json.dumps(line, default=str), flush=True)  # noqa: T201  Lambda's log is its output


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))[:100]
    if isinstance(error, BotoCoreError):
        return f"{type(error).__name__}: {error}"[:300]
    return type(error).__name__
