"""Access to the webmail: only for our own page, and only for those who are signed in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import unquote

from postamt_sync.webmail.exchange import (
    RefusedRequestError,
    WebAnswer,
    WebRequest,
    text_field,
    told,
)
from postamt_sync.webmail.known_devices import COOKIE as DEVICE_COOKIE
from postamt_sync.webmail.known_devices import KnownDevice, KnownDevices
from postamt_sync.webmail.peer import peer_network
from postamt_sync.webmail.sessions import COOKIE, WebSession, WebSessions, cookie
from postamt_sync.webmail.slow_down import SlowDown, device_source
from postamt_sync.webmail.users import WebmailUsers

BY_ITSELF = "postamt-by-itself"
"""The header of requests that the page makes by itself; they do not prolong a session."""
OF_MAILBOX = "postamt-mailbox"
"""The header with the mailbox that a page shows, percent-encoded; without it any is right."""
_NOT_OURS = frozenset({"same-site", "cross-site"})
"""What browsers send for requests from other sites' pages (W3C, Fetch Metadata)."""


class Gate:
    """Signs in and out, and finds the session of each request."""

    def __init__(
        self,
        sessions: WebSessions,
        users: WebmailUsers,
        devices: KnownDevices,
        slow_down: SlowDown,
        origins: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        """`origins` are ours, such as `https://webmail.example.com`.

        Requests from others change nothing here. That includes sibling subdomains, which SameSite
        lets through.
        """
        self._sessions = sessions
        self._users = users
        self._devices = devices
        self._slow_down = slow_down
        self._origins = frozenset(origins)
        self._clock = clock

    def check_origin(self, request: WebRequest) -> None:
        """Refuse requests from other sites' pages, and all but GET without our page's origin.

        For a GET only the browser can tell. A URL that a person typed counts as ours.
        """
        ours = request.headers.get("sec-fetch-site", "").strip().lower() not in _NOT_OURS
        if request.method != "GET":
            ours = ours and request.headers.get("origin", "") in self._origins
        if not ours:
            raise RefusedRequestError(HTTPStatus.FORBIDDEN, "That did not come from this page.")

    def session(self, request: WebRequest) -> WebSession:
        """Return the session of a request; raises RefusedRequestError if nobody is signed in."""
        person = BY_ITSELF not in request.headers
        expected = unquote(request.headers.get(OF_MAILBOX, ""))
        return self._sessions.find(request.cookie(COOKIE), person=person, expected=expected)

    def sign_in(self, request: WebRequest) -> WebAnswer:
        """Sign in on any device. Attempts are counted by address."""
        name, secret = _typed(request)
        device = self._devices.read(request.cookie(DEVICE_COOKIE))
        return self._signed_in(name, secret, peer_network(request.peer), device)

    def sign_in_known(self, request: WebRequest) -> WebAnswer:
        """Sign in on a device on which this mailbox did before. Attempts are counted by device.

        Everybody else is told, in the same words, to sign in as on a new device. That is done
        before the secret is checked, so that nobody can make this way slow for others.
        """
        name, secret = _typed(request)
        device = self._devices.read(request.cookie(DEVICE_COOKIE))
        user = self._users.typed(name) if device else None
        if device is None or user is None or not device.is_of(user):
            raise RefusedRequestError(
                HTTPStatus.UNAUTHORIZED,
                "This device is not known yet. Sign in as on a new device.",
                code="new-device",
            )
        return self._signed_in(name, secret, device_source(device.id), device)

    def _signed_in(
        self, name: str, secret: str, source: str, device: KnownDevice | None
    ) -> WebAnswer:
        self._slow_down.admit(source)
        user = self._users.signed_in(name, secret)
        if user is None:
            raise RefusedRequestError(
                HTTPStatus.UNAUTHORIZED,
                "The mailbox or the secret is wrong. Check both.",
                code="wrong",
            )
        self._slow_down.forget(source)
        answer = self._told(self._sessions.begin(user))
        return replace(answer, cookies=(*answer.cookies, self._devices.cookie(user, device)))

    def sign_out(self, session: WebSession) -> WebAnswer:
        self._sessions.end(session)
        return told({}, cookies=(cookie(""),))

    def sign_out_everywhere(self, session: WebSession) -> WebAnswer:
        self._sessions.end_all(session)
        return told({}, cookies=(cookie(""),))

    def look(self, session: WebSession, addresses: Collection[str]) -> WebAnswer:
        """Answer who is signed in, for how long, and which addresses the mailbox may write as."""
        return self._told(session, addresses)

    def _told(self, session: WebSession, addresses: Collection[str] = ()) -> WebAnswer:
        now = self._clock()
        fields = {
            "mailbox": session.mailbox,
            "all": session.sees_all,
            "addresses": list(addresses),
            "idle_in": max(0, round(session.idle_at - now)),
            "ends_in": max(0, round(session.ends_at - now)),
        }
        return told(fields, cookies=(cookie(session.token),) if session.token else ())


def _typed(request: WebRequest) -> tuple[str, str]:
    """Return the name and the secret; raises RefusedRequestError."""
    said = request.fields()
    return text_field(said, "mailbox"), text_field(said, "secret", 2_000)
