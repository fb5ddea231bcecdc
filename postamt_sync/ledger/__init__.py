"""The ledger: the durable to-do list, an SQLite database in the state directory.

`Ledger` opens it. Its parts: `arrivals` (what we heard of), `work` (what is due, and how the
courier's steps ended), `rebuild` (replacing a lost ledger, completing an old one), `absences` (what
that found missing), `repair` (what a person may do while the daemon runs), `overview` and `history`
(what `status` shows). Unless it says otherwise, a method is one short transaction, durable when it
returns; it may be called from any thread, blocks, and raises TryLaterError when the disk refuses.
"""

from postamt_sync.ledger.ledger import Ledger
from postamt_sync.ledger.lock import CourierLock
from postamt_sync.ledger.rows import Delivery, DeliveryState, ObjectState, Prepared, Task

__all__ = ["CourierLock", "Delivery", "DeliveryState", "Ledger", "ObjectState", "Prepared", "Task"]
