"""A session of boto3 whose clients are made when they are first used.

Making one reads the AWS configuration and runs the chain of credentials, which may ask a program or
the network. Made at its first call it fails like a call: for now, for its caller alone, and it is
tried again with the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import boto3


class _MadeAtFirstUse:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._making = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._making:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


class _LazySession(_MadeAtFirstUse):
    def client(self, *arguments: Any, **more: Any) -> Any:
        return _MadeAtFirstUse(lambda: self.__getattr__("client")(*arguments, **more))


def lazy_session(make: Callable[[], boto3.Session]) -> boto3.Session:
    """Return a stand-in for what `make` returns, whose clients are stand-ins too.

    Each use of them raises what making them raises. Use clients in threads only.
    """
    return cast("boto3.Session", _LazySession(make))
