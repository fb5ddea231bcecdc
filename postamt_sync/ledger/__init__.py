"""The ledger: the durable to-do list, embedded SQLite in the state directory.

`Ledger` opens it; its parts are `arrivals` (what we heard of), `work` (what is due, and how the
courier's steps end), `rebuild` (making up for a lost or an old ledger), `absences` (what that found
missing), `repair` (what a person may do beside the running daemon), `overview` and `history` (what
`status` shows). Every method is one short transaction, durable on return, safe in any thread, and
raises TryLaterError when the disk refuses.
"""

from postamt_sync.ledger.ledger import Ledger
from postamt_sync.ledger.lock import CourierLock
from postamt_sync.ledger.rows import Delivery, DeliveryState, ObjectState, Prepared, Task

__all__ = ["CourierLock", "Delivery", "DeliveryState", "Ledger", "ObjectState", "Prepared", "Task"]
