"""The webhook: what SNS posts to us, and the answers that it gets.

SNS tries again after a 5xx; with any other status of 400 or more the notification is lost for good.
So only what can never become right gets a 4xx, and everything that may be trouble on our side a
503. A body that comes too slowly gets a 503 too, since the line between SNS and us may be bad, but
is counted as the peer's fault (408), and not given as a reason for dead letters.
AWS: "Amazon SNS message delivery retries".
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

from postamt_sync.awaiting import contained
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.http.peers import request_peer
from postamt_sync.intake.notifications import NotificationOutcome, Notifications
from postamt_sync.intake.sns_message import ForgedError, MalformedError, SnsMessage, read_message
from postamt_sync.mail.arrival import Source
from postamt_sync.throttle import Throttle

LARGEST_BODY = 1024 * 1024
"""Bytes. SNS carries 256 KB, which JSON within JSON can more than double."""
BODY_SECONDS = 10
"""Seconds for a whole body: SNS gives up after 15 s, and a slower one is not answered in time."""
HEALTH_PATH = "/healthz"
REASONS_KEPT = 50


@dataclass(slots=True)
class WebhookTally:
    """The webhook's answers since the daemon started."""

    taken: Counter[NotificationOutcome] = field(default_factory=Counter)
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)
    """By status and reason (408: too slow, whether it was answered or cut off)."""
    _last_trouble: str = ""

    def take(self, outcome: NotificationOutcome) -> None:
        """Count a notification that was taken."""
        self.taken[outcome] += 1

    def refuse(self, status: int, reason: str, *, by_peer: bool = False) -> None:
        """Count a refusal. `by_peer`: only the peer is to blame."""
        known = (status, reason) in self.refused or len(self.refused) < REASONS_KEPT
        self.refused[status, reason if known else "other reasons"] += 1
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not by_peer:
            self._last_trouble = f"the webhook answered {status}: {reason}"

    def last_trouble(self) -> str:
        """Return the last trouble on our side that made SNS try again; "" if there was none.

        What only a peer is to blame for does not count: it says nothing about SNS's notifications.
        """
        return self._last_trouble

    def refused_by_status(self) -> dict[int, int]:
        """Return the number of refusals for each status."""
        counts: Counter[int] = Counter()
        for (status, _), count in self.refused.items():
            counts[status] += count
        return counts


class _RefusedError(Exception):
    """A refusal for which only the peer is to blame. `counted`: the status to count it under."""

    def __init__(self, status: HTTPStatus, reason: str, counted: HTTPStatus | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.counted = counted or status


class Webhook:
    """Answers requests to the public address; to be passed to a `Listener`.

    `health` returns why we are not well, "" if we are. It is shown to everybody: no secrets in it.
    """

    def __init__(
        self,
        notifications: Notifications,
        events: Events,
        *,
        path: str,
        health: Callable[[], str],
        body_seconds: float = BODY_SECONDS,
        tally: WebhookTally | None = None,
    ) -> None:
        self.tally = tally if tally is not None else WebhookTally()
        self._notifications = notifications
        self._events = events
        self._path = path
        self._health = health
        self._body_seconds = body_seconds
        self._throttle = Throttle()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. A message gets a 200 only when the ledger has it, durably."""
        if request.path == HEALTH_PATH and request.method in {"GET", "HEAD"}:
            reason = self._health()
            return _last_answer(HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK, reason)
        try:
            self._refuse_elsewhere(request)
            message = read_message(await self._body(request))
            _refuse_contradiction(request, message)
            peer = request_peer(request.remote or "").name
            outcome = await contained(self._notifications.take(message, Source.WEBHOOK, peer))
        except _RefusedError as error:
            self.refused(error.counted, error.reason, request.remote or "", by_peer=True)
            return self._answer(request, error.status, error.reason)
        except MalformedError as error:
            return self._refuse(request, HTTPStatus.BAD_REQUEST, error.problem)
        except ForgedError as error:
            return self._refuse(request, HTTPStatus.FORBIDDEN, error.problem, hint=error.hint)
        except PostamtError as error:
            return self._refuse(
                request, HTTPStatus.SERVICE_UNAVAILABLE, error.problem, hint=error.hint
            )
        self.tally.take(outcome)
        # Only those who bring genuine notifications may keep the connection for more.
        return web.Response(status=HTTPStatus.OK, text=f"{outcome.value}\n")

    def refused(
        self, status: int, reason: str, peer: str, hint: str = "", *, by_peer: bool = False
    ) -> None:
        """Count a refusal, ours or the listener's, and log it if it is a new one."""
        self.tally.refuse(status, reason, by_peer=by_peer)
        if self._throttle.allows((status, reason)):
            self._events.notification_refused(status, f"{reason} {hint}".rstrip(), peer)

    def _refuse(
        self, request: web.BaseRequest, status: HTTPStatus, reason: str, hint: str = ""
    ) -> web.Response:
        self.refused(status, reason, request.remote or "", hint)
        return self._answer(request, status, reason)

    def _answer(self, request: web.BaseRequest, status: HTTPStatus, reason: str) -> web.Response:
        response = _last_answer(status, reason)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = "POST" if request.path == self._path else "GET, HEAD"
        return response

    def _refuse_elsewhere(self, request: web.BaseRequest) -> None:
        if request.path not in {self._path, HEALTH_PATH}:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
        if request.path == HEALTH_PATH or request.method != "POST":
            raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "This method is not allowed here.")
        if request.headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
            raise _RefusedError(
                HTTPStatus.FORBIDDEN, "Raw delivery carries no signature: switch it off."
            )
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "SNS does not compress what it sends.")

    async def _body(self, request: web.BaseRequest) -> bytes:
        too_large = _RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than any SNS message."
        )
        if (request.content_length or 0) > LARGEST_BODY:
            raise too_large
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer itself has not begun
        body = bytearray()
        try:
            if request.content.is_eof():  # it has come by now, as those of SNS mostly do
                return request.content.read_nowait()
            async with asyncio.timeout(self._body_seconds):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > LARGEST_BODY:
                        break
        except TimeoutError:
            raise _RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The body came too slowly.",
                counted=HTTPStatus.REQUEST_TIMEOUT,
            ) from None
        except web.RequestPayloadError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The body is not valid HTTP.") from None
        else:
            if len(body) > LARGEST_BODY:
                raise too_large
            return bytes(body)
        finally:
            # The traceback of an error would keep it until the next garbage collection.
            body.clear()


def _refuse_contradiction(request: web.BaseRequest, message: SnsMessage) -> None:
    """Refuse headers that contradict the body. They are not signed, and SNS's never do."""
    if request.headers.get("x-amz-sns-topic-arn", message.topic_arn) != message.topic_arn:
        raise _RefusedError(HTTPStatus.FORBIDDEN, "Header and body name different topics.")
    if request.headers.get("x-amz-sns-message-type", message.type) != message.type:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "Header and body name different types.")


def _last_answer(status: HTTPStatus, text: str) -> web.Response:
    """Return the last answer of a connection: strangers keep none, and nothing more is read."""
    response = web.Response(status=status, text=f"{text or 'ok'}\n")
    response.force_close()
    return response
