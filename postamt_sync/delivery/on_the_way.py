"""The mails that were taken from the ledger and have not ended yet.

There is room for so many, since memory holds them, and for fewer long ones: those wait for each
other, on a slow line for hours, and what waits in the ledger takes nobody's room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postamt_sync.delivery.fetcher import SMALL, is_long
from postamt_sync.ledger import Task


class OnTheWay:
    """At most `most` mails, of which `most_long` are known to be long."""

    def __init__(self, most: int, most_long: int) -> None:
        self._most = most
        self._most_long = most_long
        self._mails: dict[str, bool] = {}
        """By the mail's id, whether it counts as a long one."""

    def __len__(self) -> int:
        return len(self._mails)

    def __iter__(self) -> Iterator[str]:
        return iter(self._mails)

    @property
    def room(self) -> int:
        return self._most - len(self)

    @property
    def longest(self) -> int | None:
        """Of how many bytes another mail may be; None: of any."""
        return None if self._room_for_long() > 0 else SMALL

    def add(self, task: Task) -> None:
        self._mails[task.mail] = is_long(task)

    def discard(self, task: Task) -> None:
        self._mails.pop(task.mail, None)

    def fitting(self, tasks: Sequence[Task]) -> list[Task]:
        """Return those for which there is room, the first ones."""
        left = max(0, self._room_for_long())
        beyond = {task.mail for task in [task for task in tasks if is_long(task)][left:]}
        return [task for task in tasks if task.mail not in beyond]

    def _room_for_long(self) -> int:
        return self._most_long - sum(self._mails.values())
