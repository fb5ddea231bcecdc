"""The events of what failed on our side: the daemon goes on, and a person should know.

`Events` has them too. Each has a fixed name, by which logs are searched; `reason` says why.
"""

from __future__ import annotations

from postamt_sync.log_line import Log, printable


class Failures:
    """Says what failed."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def internal_error(self, error: BaseException) -> None:
        """A bug of ours; what it came up with is tried again."""
        self._log.error("internal error", reason=printable(repr(error)))

    # Hearing of mail

    def request_failed(self, reason: str) -> None:
        self._log.error("cannot answer a request", reason=printable(reason))

    def not_accepting(self, reason: str) -> None:
        self._log.error("cannot accept connections", reason=printable(reason))

    def envelopes_not_asked(self, reason: str) -> None:
        self._log.error("envelopes cannot be asked for", reason=printable(reason))

    def certificates_not_kept(self, reason: str) -> None:
        """Those of SNS that were proven good; they are downloaded again at the next start."""
        self._log.error("certificates cannot be kept", reason=printable(reason))

    # Mailboxes

    def mailbox_unusable(self, mailbox: str, reason: str) -> None:
        self._log.error("a mailbox cannot be used", mailbox=mailbox, reason=printable(reason))

    def mailbox_unreadable(self, mailbox: str, reason: str) -> None:
        """Its names cannot be compared with the ledger."""
        self._log.error("a mailbox cannot be read", mailbox=mailbox, reason=printable(reason))

    def retry_failed(self, reason: str) -> None:
        """What waits keeps its pause."""
        self._log.error("what waits cannot be hurried", reason=printable(reason))

    def restore_failed(self, mail: str, reason: str) -> None:
        self._log.error("an object cannot be restored", mail=mail, reason=printable(reason))

    # The ledger

    def ledger_not_written(self, reason: str) -> None:
        self._log.error("the ledger cannot be written", reason=printable(reason))

    def ledger_not_copied(self, reason: str) -> None:
        self._log.error("the ledger cannot be copied", reason=printable(reason))

    def ledger_not_saved(self, reason: str, *, final: bool) -> None:
        """A ledger that was taken away; `final`: the process ends, and with it what is open."""
        if final:
            self._log.error("the open ledger cannot be saved", reason=printable(reason))
        else:
            self._log.error(
                "the open ledger cannot be saved, will try again", reason=printable(reason)
            )

    def delivery_stands_still(self, seconds: float) -> None:
        """No mail on its way gets any further; systemd restarts us."""
        self._log.error("delivery stands still", seconds=round(seconds))

    def health_not_noted(self, reason: str) -> None:
        """`status` shows an older state of a source."""
        self._log.error("the books cannot be kept", reason=printable(reason))

    # Around it

    def changes_noticed_late(self, directory: str, reason: str) -> None:
        """The configuration is looked at now and then, instead of at once."""
        self._log.error(
            "changes are noticed late", directory=printable(directory), reason=printable(reason)
        )

    def admin_off(self, reason: str) -> None:
        self._log.error("metrics and status page are off", reason=printable(reason))

    def alerts_not_written(self, reason: str) -> None:
        self._log.error("alerts cannot be written", reason=printable(reason))
