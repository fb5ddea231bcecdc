"""Sessions: a signed token in the browser's cookie, and a record by which it can be ended.

The token (JWT, RFC 7519) says for an hour whose session it is; the record, which is read for each
request, says that it has not ended. Both are needed. What a user does prolongs a session by another
15 minutes, up to 12 hours; what the page requests by itself does not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from postamt_sync.webmail.exchange import RefusedRequestError
from postamt_sync.webmail.record_table import RecordTable, Value
from postamt_sync.webmail.tokens import SignedTokens
from postamt_sync.webmail.users import WebmailUser, WebmailUsers

HOLDER = "session"
COOKIE = "__Host-postamt"
TOKEN_SECONDS = 3_600
IDLE_SECONDS = 15 * 60
LONGEST_SECONDS = 12 * 3_600
RENEWED_AFTER = 10 * 60
"""Seconds after which a token is renewed by a user's request."""
_ID_BYTES = 24


@dataclass(frozen=True, slots=True)
class WebSession:
    """A valid session. Times are in seconds since 1970.

    It ends at `idle_at` unless the user does something, and at `ends_at` in any case. `token` is to
    be put into the cookie, "" if the browser's need not be renewed.
    """

    id: str
    mailbox: str
    sees_all: bool
    idle_at: float
    ends_at: float
    token: str = ""


class WebSessions:
    """The sessions of a webmail."""

    def __init__(
        self,
        table: RecordTable,
        users: WebmailUsers,
        tokens: SignedTokens,
        clock: Callable[[], float],
    ) -> None:
        """`tokens` must last for TOKEN_SECONDS."""
        self._table = table
        self._users = users
        self._tokens = tokens
        self._clock = clock

    def begin(self, user: WebmailUser) -> WebSession:
        """Begin a session, durably. Its token has to be put into the cookie."""
        now = self._clock()
        session = secrets.token_urlsafe(_ID_BYTES)
        fields: dict[str, Value] = {
            "mailbox": user.mailbox,
            "round": user.round,
            "began": round(now),
            "seen": round(now),
            "expires": round(now) + LONGEST_SECONDS,
        }
        self._table.put(HOLDER, session, fields, expect=None)
        return WebSession(
            session,
            user.mailbox,
            user.sees_all,
            now + IDLE_SECONDS,
            now + LONGEST_SECONDS,
            self._token(session, user.mailbox),
        )

    def find(self, token: str, *, person: bool, expected: str = "") -> WebSession:
        """Return the session for a token. `person`: the user did something, which prolongs it.

        If `expected` is given, the session must be this mailbox's: another one may have signed in
        meanwhile in another window of the browser. Raises RefusedRequestError if there is no valid
        session, in the same way for every reason.
        """
        now = self._clock()
        claims = self._tokens.read(token, "jti", "sub")
        if claims is None:
            raise signed_out()
        session, mailbox = claims["jti"], claims["sub"]
        if expected and expected != mailbox:
            raise signed_out()
        kept = self._table.get(HOLDER, session)
        user = self._users.find(mailbox)
        if kept is None or user is None or kept["mailbox"] != mailbox:
            raise signed_out()
        seen, began = int(kept["seen"]), int(kept["began"])
        ends_at = began + LONGEST_SECONDS
        if kept["round"] != user.round or now >= min(seen + IDLE_SECONDS, ends_at):
            self._table.delete(HOLDER, session)
            raise signed_out()
        renewed = ""
        if person:
            # Not put: a session that is ended meanwhile must stay ended.
            news = {"seen": max(seen, round(now))}
            if not self._table.update(HOLDER, session, news, expect={"mailbox": mailbox}):
                raise signed_out()
            seen = news["seen"]
            if now - claims["iat"] >= RENEWED_AFTER:
                renewed = self._token(session, mailbox)
        idle_at = min(seen + IDLE_SECONDS, ends_at)
        return WebSession(session, mailbox, user.sees_all, idle_at, ends_at, renewed)

    def end(self, session: WebSession) -> None:
        """Sign out in this browser only."""
        self._table.delete(HOLDER, session.id)

    def end_all(self, session: WebSession) -> None:
        """Sign out everywhere."""
        self._users.end_sessions(session.mailbox)
        self._table.delete(HOLDER, session.id)

    def _token(self, session: str, mailbox: str) -> str:
        return self._tokens.make(sub=mailbox, jti=session)


def signed_out() -> RefusedRequestError:
    """Return the answer for everybody without a valid session."""
    return RefusedRequestError(
        HTTPStatus.UNAUTHORIZED, "You are signed out. Sign in again.", code="signed-out"
    )


def cookie(token: str) -> str:
    """Return Set-Cookie for a token; "" removes the cookie."""
    age = TOKEN_SECONDS if token else 0
    return f"{COOKIE}={token}; Path=/; Max-Age={age}; HttpOnly; Secure; SameSite=Strict"
