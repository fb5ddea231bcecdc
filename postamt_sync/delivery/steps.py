"""The durable steps of a delivery, and who may watch them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class DeliveryStep(enum.Enum):
    """The durable steps of a delivery, in their order.

    A crash before or after any of them leaves a state from which the next attempt ends with exactly
    one file in each mailbox; the kill test goes through them all.
    """

    WRITE = "write the file into tmp/"
    SYNC_FILE = "sync the file"
    SYNC_TMP = "sync tmp/"
    PREPARE = "commit: prepared"
    PUBLISH = "rename into new/"
    SYNC_FOLDERS = "sync new/ and tmp/"
    SETTLE = "commit: delivered"


StepObserver = Callable[[DeliveryStep, bool], None]
"""Called before (False) and after (True) every durable step, in the thread that takes it."""


def no_observer(step: DeliveryStep, done: bool) -> None:
    """Watch nothing."""


@contextmanager
def observed(observer: StepObserver, step: DeliveryStep) -> Iterator[None]:
    """Tell the observer of a step; one that raises is never told as done."""
    observer(step, False)
    yield
    observer(step, True)
