"""Who may come in: our own page alone, and only who is signed in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus

from postamt_sync.webmail.exchange import (
    RefusedRequestError,
    WebAnswer,
    WebRequest,
    text_field,
    told,
)
from postamt_sync.webmail.sessions import COOKIE, WebSession, WebSessions, cookie
from postamt_sync.webmail.slow_down import SlowDown
from postamt_sync.webmail.users import WebmailUsers

BY_ITSELF = "postamt-by-itself"
"""The header of what the page asks without a person; it keeps no session up."""
READING = frozenset({"GET", "HEAD"})


class Gate:
    """Signs in and out, and finds the session of each request."""

    def __init__(
        self,
        sessions: WebSessions,
        users: WebmailUsers,
        slow_down: SlowDown,
        origins: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        """`origins` are ours, `https://webmail.example.com` say: a request of others changes
        nothing here. Sibling subdomains are others, though SameSite lets them through.
        """
        self._sessions = sessions
        self._users = users
        self._slow_down = slow_down
        self._origins = frozenset(origins)
        self._clock = clock

    def check_origin(self, request: WebRequest) -> None:
        """Refuse whatever may change something and does not come from our own page."""
        if request.method in READING:
            return
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin", "") not in self._origins or site != "same-origin":
            raise RefusedRequestError(HTTPStatus.FORBIDDEN, "That did not come from this page.")

    def session(self, request: WebRequest) -> WebSession:
        """Return who asks; raises RefusedRequestError where nobody is signed in."""
        person = BY_ITSELF not in request.headers
        return self._sessions.find(request.cookie(COOKIE), person=person)

    def sign_in(self, request: WebRequest) -> WebAnswer:
        said = request.fields()
        name, secret = text_field(said, "mailbox"), text_field(said, "secret", 2_000)
        self._slow_down.admit(request.peer)
        user = self._users.signed_in(name, secret)
        if user is None:
            raise RefusedRequestError(
                HTTPStatus.UNAUTHORIZED,
                "That is no mailbox with this secret. Look at both again.",
                code="wrong",
            )
        self._slow_down.forget(request.peer)
        return self._told(self._sessions.begin(user))

    def sign_out(self, session: WebSession) -> WebAnswer:
        self._sessions.end(session)
        return told({}, Set_Cookie=cookie(""))

    def sign_out_everywhere(self, session: WebSession) -> WebAnswer:
        self._sessions.end_all(session)
        return told({}, Set_Cookie=cookie(""))

    def look(self, session: WebSession, addresses: Collection[str]) -> WebAnswer:
        """Say who is signed in, for how long, and as what he may write."""
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
        if session.token:
            return told(fields, Set_Cookie=cookie(session.token))
        return told(fields)
