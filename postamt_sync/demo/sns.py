"""A small SNS that does what AWS does and the emulator does not.

Handshake, headers, signatures v1 and v2 with a certificate to fetch, retries and dead letters. It
is the SNS endpoint of the demo (`AWS_ENDPOINT_URL_SNS`): it handles subscriptions over HTTP and SQS
and forwards everything else unchanged. The tests use it as their double, with faults on demand.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Self
from urllib.parse import quote

from aiohttp import web

from postamt_sync.demo import query
from postamt_sync.demo.notification import SnsNotification, SnsSigner
from postamt_sync.demo.push import Attempt, Function, Push, PushFaults
from postamt_sync.demo.query import RefusedError, answer, element, invalid
from postamt_sync.demo.subscription import SnsSubscription
from postamt_sync.demo.upstream import QUEUE, Pump, Upstream
from postamt_sync.errors import TryLaterError

CONFIRMATION = (
    "You have chosen to subscribe to the topic {topic}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message."
)
CANCELLATION = (
    "You have chosen to deactivate subscription {arn}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in "
    "this message."
)
OUR_PROTOCOLS = frozenset({"http", "https", "sqs"})
LONGEST_REQUEST = 1 << 20

Handler = Callable[[Mapping[str, str], bool], Awaitable[web.Response]]
"""An action: takes the form, and whether the caller signed the request."""


class SmallSns:
    """Serves SNS on a free port of 127.0.0.1 while the context is open.

    `upstream` is the emulator's URL; without one there are no other actions, every topic exists,
    and only `publish` sends messages. `speed` divides the pauses between attempts. HTTPS
    endpoints are verified with `tls`.
    """

    def __init__(
        self, upstream: str | None, speed: float = 1.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.signer = SnsSigner()
        self.mishaps = PushFaults()
        self.now: Callable[[], float] = time.time
        """The clock that tokens expire by."""
        self.subscriptions: dict[str, SnsSubscription] = {}
        """By ARN, pending ones too."""
        self.functions: list[Function] = []
        """Called with the notifications of every topic, in addition to the subscriptions."""
        self.url = ""
        self._cancelled: dict[str, SnsSubscription] = {}
        self._versions: dict[str, str] = {}
        self._upstream = Upstream(upstream) if upstream else None
        self._pump = Pump(self._upstream, self._fan_out) if self._upstream else None
        self._push = Push(self.signer, self._to_queue, self.mishaps, speed, tls)
        self._runner: web.AppRunner | None = None
        self._actions: dict[str, Handler] = {
            "Subscribe": self._subscribe,
            "ConfirmSubscription": self._confirm,
            "Unsubscribe": self._unsubscribe,
            "GetSubscriptionAttributes": self._get_attributes,
            "SetSubscriptionAttributes": self._set_attributes,
        }

    async def __aenter__(self) -> Self:
        self._push.start()
        if self._upstream is not None:
            self._upstream.start()
        app = web.Application(client_max_size=LONGEST_REQUEST)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pump is not None:
            await self._pump.stop()
        await self._push.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._upstream is not None:
            await self._upstream.stop()

    # What tests and the demo ask for

    def publish(self, topic_arn: str, message: str, subject: str | None = None) -> str:
        """Send a message to every confirmed subscription; return its ID."""
        notification = SnsNotification(topic_arn, message, subject)
        self._fan_out(notification)
        return notification.message_id

    def set_signature_version(self, topic_arn: str, version: str) -> None:
        """Set the topic's SignatureVersion: "1" (SNS's default) or "2"."""
        if version not in ("1", "2"):
            raise invalid("SignatureVersion")
        self._versions[topic_arn] = version

    async def settled(self) -> None:
        """Return once every delivery under way has been accepted or given up."""
        await self._push.settled()

    @property
    def attempts(self) -> list[Attempt]:
        """The attempts so far, oldest first."""
        return list(self._push.attempts)

    @property
    def answer_within(self) -> float:
        """Seconds that an HTTP endpoint has to answer."""
        return self._push.answer_within

    @answer_within.setter
    def answer_within(self, seconds: float) -> None:
        self._push.answer_within = seconds

    # Requests

    async def _serve(self, request: web.Request) -> web.Response:
        if request.method == "GET" and request.path == self.signer.path:
            if self.mishaps.certificate_down:
                return web.Response(status=503)
            return web.Response(body=self.signer.certificate, content_type="binary/octet-stream")
        form: dict[str, str] = {k: str(v) for k, v in request.query.items()}
        body = await request.read()
        if request.method == "POST":
            form |= {k: str(v) for k, v in (await request.post()).items()}
        try:
            return await self._act(request, form, body)
        except RefusedError as refused:
            return refused.response()

    async def _act(
        self, request: web.Request, form: Mapping[str, str], body: bytes
    ) -> web.Response:
        if self.mishaps.api_down:
            raise RefusedError("ServiceUnavailable", "Service is unavailable.", 503)
        action = form.get("Action", "")
        handler = self._actions.get(action)
        if handler is not None and self._is_ours(action, form):
            return await handler(form, "Authorization" in request.headers)
        if self._upstream is None:
            raise RefusedError("InvalidAction", f"Nothing here does {action or 'that'}.")
        status, kind, content = await self._upstream.forward(
            request.method, request.path_qs, request.headers, body
        )
        if status == 200:
            content = await self._complete(action, form, content)
        return web.Response(body=content, status=status, headers={"Content-Type": kind})

    def _is_ours(self, action: str, form: Mapping[str, str]) -> bool:
        if action == "Subscribe":
            return form.get("Protocol") in OUR_PROTOCOLS
        if action == "ConfirmSubscription" or self._upstream is None:
            return True
        return form.get("SubscriptionArn") in self.subscriptions

    async def _complete(self, action: str, form: Mapping[str, str], content: bytes) -> bytes:
        """Add what the emulator does not know to its answer."""
        topic = form.get("TopicArn", "")
        if action == "CreateTopic":
            made = re.search(rb"<TopicArn>([^<]+)</TopicArn>", content)
            assert made is not None
            assert self._pump is not None
            topic = made[1].decode()
            version = query.form_attributes(form).get("SignatureVersion")
            if version is not None:
                self.set_signature_version(topic, version)
            await self._pump.attach(topic)
        elif action == "SetTopicAttributes" and form.get("AttributeName") == "SignatureVersion":
            self.set_signature_version(topic, form.get("AttributeValue", ""))
        elif action == "GetTopicAttributes" and topic in self._versions:
            version = element("key", "SignatureVersion") + element("value", self._versions[topic])
            entry = f"<entry>{version}</entry></Attributes>"
            content = content.replace(b"</Attributes>", entry.encode(), 1)
        elif action == "DeleteTopic":
            assert self._pump is not None
            self._pump.forget(topic)
            for arn in [s.arn for s in self.subscriptions.values() if s.topic_arn == topic]:
                del self.subscriptions[arn]
        elif action in ("ListSubscriptions", "ListSubscriptionsByTopic"):
            first_page = not form.get("NextToken")
            every = self.subscriptions.values() if first_page else ()
            ours = [s.listed() for s in every if topic in ("", s.topic_arn)]
            content = query.with_subscriptions(content, ours, without=f":{QUEUE}")
        return content

    # Actions

    async def _subscribe(self, form: Mapping[str, str], _signed: bool) -> web.Response:
        topic, protocol = form.get("TopicArn", ""), form["Protocol"]
        endpoint = form.get("Endpoint", "")
        starts = {"http": "http://", "https": "https://", "sqs": "arn:aws:sqs:"}[protocol]
        if not endpoint.startswith(starts):
            raise invalid(f"Endpoint must match the specified protocol {protocol}")
        await self._need_topic(topic)
        attributes = query.form_attributes(form)
        found = self._find(topic, protocol, endpoint)
        if found is None:
            found = SnsSubscription(topic, protocol, endpoint, pending=protocol != "sqs")
            for name, value in attributes.items():
                found.set(name, value)
            self.subscriptions[found.arn] = found
        elif any(found.attributes.get(name, "") != value for name, value in attributes.items()):
            raise invalid(
                "Attributes Reason: Subscription already exists with different attributes"
            )
        if found.pending:
            self._ask(found, "SubscriptionConfirmation", CONFIRMATION.format(topic=topic))
        shown = not found.pending or form.get("ReturnSubscriptionArn", "").lower() == "true"
        arn = found.arn if shown else "pending confirmation"
        return answer("Subscribe", element("SubscriptionArn", arn))

    async def _confirm(self, form: Mapping[str, str], signed: bool) -> web.Response:
        topic, token = form.get("TopicArn", ""), form.get("Token", "")
        every = [*self.subscriptions.values(), *self._cancelled.values()]
        mine = [s for s in every if s.topic_arn == topic]
        found = next((s for s in mine if s.accepts(token, self.now())), None)
        if found is None:
            raise invalid("Token")
        owner_only = form.get("AuthenticateOnUnsubscribe", "").lower() == "true"
        if owner_only and not signed:
            raise RefusedError("AuthorizationError", "Not authorized to set this flag.", 403)
        if found.pending or owner_only:
            found.authenticated = owner_only
        found.pending = False
        self._cancelled.pop(found.arn, None)
        self.subscriptions[found.arn] = found
        return answer("ConfirmSubscription", element("SubscriptionArn", found.arn))

    async def _unsubscribe(self, form: Mapping[str, str], signed: bool) -> web.Response:
        found = self._get(form)
        if found.pending:
            raise invalid("This subscription is pending confirmation")
        if found.authenticated and not signed:
            raise RefusedError("AuthorizationError", "Not authorized to unsubscribe.", 403)
        del self.subscriptions[found.arn]
        if not signed and found.protocol != "sqs":
            self._cancelled[found.arn] = found
            self._ask(found, "UnsubscribeConfirmation", CANCELLATION.format(arn=found.arn))
        return answer("Unsubscribe")

    async def _get_attributes(self, form: Mapping[str, str], _signed: bool) -> web.Response:
        described = self._get(form).described()
        return answer("GetSubscriptionAttributes", query.attribute_map(described))

    async def _set_attributes(self, form: Mapping[str, str], _signed: bool) -> web.Response:
        self._get(form).set(form.get("AttributeName", ""), form.get("AttributeValue", ""))
        return answer("SetSubscriptionAttributes")

    def _find(self, topic: str, protocol: str, endpoint: str) -> SnsSubscription | None:
        wanted = (topic, protocol, endpoint)
        every = self.subscriptions.values()
        return next((s for s in every if (s.topic_arn, s.protocol, s.endpoint) == wanted), None)

    def _get(self, form: Mapping[str, str]) -> SnsSubscription:
        found = self.subscriptions.get(form.get("SubscriptionArn", ""))
        if found is None:
            raise RefusedError("NotFound", "Subscription does not exist", 404)
        return found

    async def _need_topic(self, topic: str) -> None:
        if topic.count(":") != 5:
            raise invalid("TopicArn")
        if self._pump is None:
            return
        try:
            await self._pump.attach(topic)
        except TryLaterError as error:
            raise RefusedError("NotFound", "Topic does not exist", 404) from error

    def _ask(self, subscription: SnsSubscription, kind: str, message: str) -> None:
        topic = subscription.topic_arn
        token = subscription.new_token(self.now())
        link = f"{self.url}/?Action=ConfirmSubscription&TopicArn={quote(topic)}&Token={token}"
        notification = SnsNotification(topic, message, kind=kind, token=token, subscribe_url=link)
        self._push.send(notification, subscription, self._version(topic), self.url)

    def _fan_out(self, notification: SnsNotification) -> None:
        for subscription in list(self.subscriptions.values()):
            if subscription.topic_arn == notification.topic_arn and not subscription.pending:
                version = self._version(notification.topic_arn)
                self._push.send(notification, subscription, version, self.url)
        for function in self.functions:
            self._push.invoke(function, notification)

    def _version(self, topic_arn: str) -> str:
        return self._versions.get(topic_arn, "1")

    async def _to_queue(self, queue_arn: str, body: str) -> None:
        if self._upstream is not None:
            await self._upstream.send(queue_arn, body)
