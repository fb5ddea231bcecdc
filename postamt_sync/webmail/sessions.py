"""Sessions: a signed token in the browser's cookie, and beside it a record that can end it.

The token (JWT, RFC 7519) says whose session it is, for an hour; the record, read again for each
request, says that it still lasts. Both must agree. What a person does keeps a session up for
another 15 minutes, 12 hours at most; what the page looks up by itself does not.
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
"""Seconds of a token's life after which a person's request brings a new one."""
_ID_BYTES = 24


@dataclass(frozen=True, slots=True)
class WebSession:
    """A session that lasts. Times in seconds since 1970.

    `idle_at`: when it ends unless a person does something. `ends_at`: when it ends in any case.
    `token` is the one to put into the cookie, "" where the browser's is still good.
    """

    id: str
    mailbox: str
    sees_all: bool
    idle_at: float
    ends_at: float
    token: str = ""


class WebSessions:
    """The sessions of one webmail."""

    def __init__(
        self,
        table: RecordTable,
        users: WebmailUsers,
        tokens: SignedTokens,
        clock: Callable[[], float],
    ) -> None:
        """`tokens` last for TOKEN_SECONDS."""
        self._table = table
        self._users = users
        self._tokens = tokens
        self._clock = clock

    def begin(self, user: WebmailUser) -> WebSession:
        """Return a new session, durable; its token has to get into the cookie."""
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
        """Return the session of a token; `person`: someone did something, so it goes on.

        `expected`: the mailbox that it has to be of, if any: in another window of the same browser
        another one may have signed in meanwhile.
        Raises RefusedRequestError if it does not last, for whatever reason: they look all the same.
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
            # Not put: what someone signs out meanwhile must stay signed out.
            news = {"seen": max(seen, round(now))}
            if not self._table.update(HOLDER, session, news, expect={"mailbox": mailbox}):
                raise signed_out()
            seen = news["seen"]
            if now - claims["iat"] >= RENEWED_AFTER:
                renewed = self._token(session, mailbox)
        idle_at = min(seen + IDLE_SECONDS, ends_at)
        return WebSession(session, mailbox, user.sees_all, idle_at, ends_at, renewed)

    def end(self, session: WebSession) -> None:
        """Sign out, here alone."""
        self._table.delete(HOLDER, session.id)

    def end_all(self, session: WebSession) -> None:
        """Sign out everywhere."""
        self._users.end_sessions(session.mailbox)
        self._table.delete(HOLDER, session.id)

    def _token(self, session: str, mailbox: str) -> str:
        return self._tokens.make(sub=mailbox, jti=session)


def signed_out() -> RefusedRequestError:
    """Return what everybody hears who has no session."""
    return RefusedRequestError(
        HTTPStatus.UNAUTHORIZED, "You are signed out. Sign in again.", code="signed-out"
    )


def cookie(token: str) -> str:
    """Return Set-Cookie for a token; for "" one that removes it."""
    age = TOKEN_SECONDS if token else 0
    return f"{COOKIE}={token}; Path=/; Max-Age={age}; HttpOnly; Secure; SameSite=Strict"
