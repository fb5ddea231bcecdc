"""One method per domain event: the only place that logs mail.

Every step of a mail's life carries the same `mail` id. The mail's content never appears; addresses
appear at debug level only, and on a terminal where someone asked for them. Text that comes from
outside (keys, reasons) is made printable and short here, so that no caller can forget it.
"""

from __future__ import annotations

from collections.abc import Sequence

from postamt_sync.failures import Failures
from postamt_sync.log_line import LONGEST_VALUE, Log, printable

LONGEST_ADDRESS = 80
"""Characters of one that a line shows."""

__all__ = ["LONGEST_VALUE", "Events", "Log", "printable"]


class Events(Failures):
    """Says what happened, and what failed. Pass one down; there is no global logger."""

    # A mail's life

    def announced(self, mail: str, key: str, source: str) -> None:
        self._log.info("announced", mail=mail, key=printable(key), source=source)

    def fetched(self, mail: str, size: int, seconds: float) -> None:
        self._log.debug("fetched", mail=mail, bytes=size, seconds=round(seconds, 3))

    def routed(self, mail: str, mailboxes: list[str], evidence: str, folder: str) -> None:
        self._log.info(
            "routed", mail=mail, mailboxes=mailboxes, evidence=evidence, folder=folder or "INBOX"
        )

    def envelope_known(self, mail: str, recipients: list[str]) -> None:
        self._log.debug("envelope", mail=mail, recipients=[printable(r) for r in recipients])

    def envelope_awaited(self, mail: str, seconds: float) -> None:
        self._log.info("waiting for the envelope", mail=mail, seconds=round(seconds))

    def delivered(
        self,
        mail: str,
        mailbox: str,
        seconds: float | None,
        size: int | None = None,
        sender: str = "",
    ) -> None:
        """`seconds` from the time SES received the mail until it was durable in the Maildir. The
        size in octets and the sender's address, given where someone wants to see it, are for eyes
        alone: no JSON line has them."""
        latency = None if seconds is None else round(seconds, 3)
        who = {"_sender": printable(sender, LONGEST_ADDRESS)} if sender else {}
        self._log.info("delivered", mail=mail, mailbox=mailbox, latency=latency, _size=size, **who)

    def delivered_already(self, mail: str, mailbox: str) -> None:
        self._log.info("delivered before the last stop", mail=mail, mailbox=mailbox)

    def same_content(self, mail: str) -> None:
        self._log.info("new ETag, same content", mail=mail)

    def delivery_in_doubt(self, mail: str, mailbox: str, found: bool) -> None:
        """A prepared draft is missing, and someone else may have taken it."""
        if found:
            self._log.warning("found in the Maildir after all", mail=mail, mailbox=mailbox)
        else:
            self._log.warning(
                "delivering again, the first copy may be lost: better twice than lost",
                mail=mail,
                mailbox=mailbox,
            )

    def postponed(self, mail: str, mailbox: str, reason: str, seconds: float) -> None:
        self._log.warning(
            "will try again",
            mail=mail,
            mailbox=mailbox or None,
            reason=printable(reason),
            seconds=round(seconds),
        )

    def quarantined(self, mail: str, key: str, reason: str) -> None:
        self._log.error("quarantined", mail=mail, key=printable(key), reason=printable(reason))

    def archived(self, mail: str, storage_class: str) -> None:
        self._log.info("archived", mail=mail, storage_class=printable(storage_class))

    def sealed(self, mail: str) -> None:
        self._log.info("only its sealed object is left", mail=mail)

    def gone(self, mail: str) -> None:
        self._log.info("gone from the bucket", mail=mail)

    def changed(self, mail: str) -> None:
        self._log.info("changed in the bucket, looking again", mail=mail)

    def skipped(self, mail: str, key: str) -> None:
        self._log.debug("no mail, skipped", mail=mail, key=printable(key))

    # Intake

    def notification_refused(self, status: int, reason: str, peer: str) -> None:
        self._log.warning(
            "notice refused", status=status, reason=printable(reason), peer=printable(peer)
        )

    def notification_not_understood(self, source: str, reason: str) -> None:
        self._log.warning("notice not understood", source=source, reason=printable(reason))

    def test_event(self, source: str) -> None:
        self._log.info("test event", source=source)

    def subscribing(self, url: str, topic: str) -> None:
        self._log.info("asking for announcements", url=printable(url), topic=printable(topic))

    def subscribed(self, subscription: str) -> None:
        self._log.info("subscription confirmed", subscription=printable(subscription))

    def subscribe_failed(self, reason: str, seconds: float) -> None:
        self._log.warning(
            "subscription not confirmed, will try again",
            reason=printable(reason),
            seconds=round(seconds),
        )

    def unsubscribed(self, topic: str) -> None:
        self._log.error(
            "somebody ended a subscription of ours; if it was not you, look who may; "
            "a restart subscribes the webhook again",
            topic=printable(topic),
        )

    def polled(self, source: str, listed: int, new: int, seconds: float) -> None:
        level = self._log.info if new else self._log.debug
        level("looked", source=source, listed=listed, new=new, seconds=round(seconds, 3))

    def poll_failed(self, source: str, reason: str, seconds: float) -> None:
        self._log.warning(
            "could not look, will try again",
            source=source,
            reason=printable(reason),
            seconds=round(seconds),
        )

    def queue_failed(self, source: str, reason: str, seconds: float | None) -> None:
        """`seconds` until the next attempt; None: with the next poll."""
        self._log.warning(
            "could not read the queue, will try again",
            source=source,
            reason=printable(reason),
            seconds=None if seconds is None else round(seconds),
        )

    def not_deleted(self, source: str, count: int) -> None:
        self._log.warning("taken, but still in the queue", source=source, count=count)

    def heartbeat_failed(self, host: str, reason: str) -> None:
        """`reason` is made of our own words: the address is a secret."""
        self._log.warning("heartbeat does not arrive", host=printable(host), reason=reason)

    def heartbeat_arrives(self, host: str) -> None:
        self._log.info("heartbeat arrives", host=printable(host))

    def index_asked(self, mails: int, known: int) -> None:
        self._log.debug("index asked", mails=mails, known=known)

    def index_failed(self, reason: str, seconds: float) -> None:
        self._log.warning(
            "the index cannot be asked, will try again",
            reason=printable(reason),
            seconds=round(seconds),
        )

    def resumed(self, seconds: float) -> None:
        self._log.info("the machine slept", seconds=round(seconds))

    # The ledger

    def ledger_brought_back(self, path: str, seconds: float) -> None:
        """`seconds` since the copy was made."""
        self._log.warning(
            "the ledger was lost, its copy is brought back",
            copy=printable(path),
            seconds=round(seconds),
        )

    def ledger_lost(self, what: str) -> None:
        """`what` has happened to it while it was open."""
        self._log.error(
            "the ledger was taken away while it was in use; "
            "nothing is acknowledged until it is back",
            what=what,
        )

    def ledger_returned(self) -> None:
        self._log.warning("the ledger is in its place again")

    def ledger_saved(self, path: str) -> None:
        self._log.warning("the open ledger is saved", saved=printable(path))

    def ledger_put_back(self, path: str, aside: str, merged: int | None) -> None:
        """`aside` is where the ledger lies that was in its place, `merged` what was new in it."""
        self._log.warning(
            "the saved ledger is in place again",
            saved=printable(path),
            set_aside=printable(aside) or None,
            merged=merged,
        )

    def ledger_set_aside(self, path: str, reason: str) -> None:
        self._log.error(
            "the ledger is damaged, and set aside",
            set_aside=printable(path),
            reason=printable(reason),
        )

    def ledger_unusable(self, reason: str, seconds: float) -> None:
        """`seconds` until the next attempt; all mail waits meanwhile."""
        self._log.error(
            "the ledger cannot be opened, will try again",
            reason=printable(reason),
            seconds=round(seconds),
        )

    def ledger_copied(self, path: str, seconds: float) -> None:
        self._log.info("ledger copied", copy=printable(path), seconds=round(seconds, 3))

    def rebuild_begun(self, names: int) -> None:
        """`names` in the Maildirs that the ledger did not know."""
        self._log.warning("the ledger is lost or old, rebuilding it from the Maildirs", names=names)

    def absent(self, mail: str, mailboxes: Sequence[str]) -> None:
        """Not given to these mailboxes, which had newer mail when the ledger was lost."""
        self._log.info(
            "absent since the ledger was rebuilt, taken for deleted",
            mail=mail,
            mailboxes=list(mailboxes),
        )

    def rebuild_ended(self, absent: int, waiting: int, unmatched: int) -> None:
        self._log.warning(
            "the ledger is rebuilt", absent=absent, waiting=waiting, only_at_home=unmatched
        )

    # Alerts

    def alerted(self, mail: str, cause: str) -> None:
        self._log.warning("told the person", mail=mail, cause=cause)

    def alert_waits(self, mail: str, cause: str, reason: str) -> None:
        self._log.warning(
            "an alert cannot be delivered yet", mail=mail, cause=cause, reason=printable(reason)
        )

    def metrics_unread(self, reason: str) -> None:
        self._log.warning("the metrics of SES cannot be read", reason=printable(reason))

    # The daemon

    def started(self, version: str, mailboxes: int, waiting: int, seconds: float) -> None:
        self._log.info(
            "started",
            version=version,
            mailboxes=mailboxes,
            waiting=waiting,
            seconds=round(seconds, 2),
        )

    def service_failed(
        self, service: str, error: str, place: str, reason: str, seconds: float | None
    ) -> None:
        """It raised what it should not, at `place` (file:line); None: it is not started again."""
        self._log.error(
            "a service failed",
            service=service,
            error=error,
            place=printable(place),
            reason=printable(reason),
            seconds=None if seconds is None else round(seconds),
        )

    def service_well(self, service: str) -> None:
        self._log.info("a service works again", service=service)

    def listening(self, address: str, tls: bool) -> None:
        self._log.info("listening", address=address, tls=tls)

    def showing(self, url: str) -> None:
        """Metrics and the status page can be looked at."""
        self._log.info("showing how things stand", url=url)

    def stopping(self, signal: str) -> None:
        self._log.info("stopping", signal=signal)

    def stopped(self) -> None:
        self._log.info("stopped")

    def reloaded(self, what: str) -> None:
        self._log.info("reloaded", what=what)

    def reload_refused(self, what: str, reasons: list[str]) -> None:
        self._log.error(
            "not reloaded, going on with the old",
            what=what,
            reasons=[printable(r) for r in reasons],
        )

    def needs_restart(self, sections: list[str]) -> None:
        self._log.warning("changed, but takes effect at the next start only", sections=sections)

    def mailbox_kept(self, mailbox: str) -> None:
        self._log.warning(
            "no longer in the configuration, kept until SIGHUP or restart", mailbox=mailbox
        )
