"""Signed tokens (JWT, RFC 7519), whose uses are told apart by key and audience."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt

from postamt_sync.webmail.keys import Keys

ISSUER = "postamt-sync"
ALGORITHM = "HS256"
LONGEST_TOKEN = 2_000
"""Characters. Longer tokens are refused."""
_AHEAD = 60
"""Seconds by which the clock of whoever signed a token may be ahead of ours."""

Claims = dict[str, Any]


class SignedTokens:
    """Makes and reads tokens for one audience, which are valid for a number of seconds."""

    def __init__(self, keys: Keys, audience: str, seconds: int, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._audience = audience
        self._seconds = seconds
        self._clock = clock

    def make(self, **claims: str) -> str:
        """Return a new token with these claims."""
        now = int(self._clock())
        whole = {
            "iss": ISSUER,
            "aud": self._audience,
            "iat": now,
            "exp": now + self._seconds,
            **claims,
        }
        return jwt.encode(whole, self._keys.current()[0], ALGORITHM)

    def read(self, token: str, *names: str) -> Claims | None:
        """Return the claims of a valid token of ours; those in `names` are text and not "".

        None if anything is wrong with it. `iat` and `exp` are whole seconds since 1970.
        """
        if not token.isascii() or not 0 < len(token) <= LONGEST_TOKEN:
            return None
        claims = self._verified(token)
        if claims is None and self._keys.newer():
            claims = self._verified(token)
        if claims is None:
            return None
        times = all(type(claims.get(name)) is int for name in ("iat", "exp"))
        words = all(isinstance(claims.get(name), str) and claims[name] for name in names)
        if not times or not words:
            return None
        begins, ends = claims["iat"], claims["exp"]
        lasts = begins <= self._clock() + _AHEAD and self._clock() < ends
        return claims if lasts and begins < ends <= begins + self._seconds else None

    def _verified(self, token: str) -> Claims | None:
        for key in self._keys.current():
            try:
                return jwt.decode(
                    token,
                    key,
                    [ALGORITHM],
                    audience=self._audience,
                    issuer=ISSUER,
                    options={
                        "require": ["iss", "aud", "exp", "iat"],
                        # Times are checked by our own clock.
                        "verify_exp": False,
                        "verify_iat": False,
                        "verify_nbf": False,
                    },
                )
            except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
                continue
        return None
