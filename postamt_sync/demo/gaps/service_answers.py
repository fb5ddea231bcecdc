"""Replaces the class of moto that answers for a service by a subclass of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def answer_by(ours: Any, url_paths: dict[str, Any], more: Iterable[str] = ()) -> None:
    """Let `ours` answer at the paths of the class that it extends, and at the paths in `more`.

    `url_paths` is the table of the service's `urls` module, which moto's server reads when the
    service is first asked.
    """
    theirs = ours.__base__.dispatch
    url_paths |= {path: ours.dispatch for path, by in url_paths.items() if by == theirs}
    url_paths |= dict.fromkeys(more, ours.dispatch)
