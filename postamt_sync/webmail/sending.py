"""Sending once, whatever is interrupted, and keeping what was sent.

| step | what is durable after it |
|---|---|
| 1 the draft's record is `sending`, unless it is there | that someone is about to send it |
| 2 the message lies under `outbox/` | what is sent |
| 3 SES is asked | |
| 4 the record is `accepted`, with the Message-ID that SES gave | that it was sent |
| 5 the message lies under `sent/`, and in the list of Sent | |
| 6 the record is `sent` | |

Whoever finds `sending` knows that SES was perhaps asked, and never asks it again: a person may, as
a new draft. From `accepted` on, anybody who looks completes the rest. Only where SES surely did not
send is the record `refused`, and may be tried again.
"""

from __future__ import annotations

import contextlib
import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.index.list_facts import ListFacts, facts_of_head
from postamt_sync.index.notice_values import iso
from postamt_sync.mail.sent_mail import sent_key
from postamt_sync.webmail.exchange import RefusedRequestError
from postamt_sync.webmail.mail_store import MailGoneError, MailStore
from postamt_sync.webmail.mailer import Mailer, PerhapsSentError, SurelyNotSentError
from postamt_sync.webmail.outgoing import LARGEST_MESSAGE, Outgoing, with_message_id
from postamt_sync.webmail.record_table import Fields, RecordTable, Value
from postamt_sync.webmail.sent_store import SentStore, outbox_key

KEPT_SECONDS = 90 * 86_400
"""How long a draft's record tells that it was sent."""
_AT_ONCE = 500
_MOST_PAGES = 20
"""Of drafts that are looked through for those that are to be completed."""


class DraftState(enum.StrEnum):
    """Where a draft stands; stored words."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    SENT = "sent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of a draft. `reason` is for a person, of REFUSED."""

    state: DraftState
    reason: str = ""


class Sending:
    """Sends drafts of mailboxes."""

    def __init__(
        self,
        table: RecordTable,
        kept: SentStore,
        store: MailStore,
        mailer: Mailer,
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._kept = kept
        self._store = store
        self._mailer = mailer
        self._clock = clock

    def send(self, mailbox: str, draft: str, outgoing: Outgoing) -> SendResult:
        """Send a draft unless that was tried before; raises what table or store raise.

        Raises RefusedRequestError for a message that is too large, of which nothing is noted.
        """
        now = self._clock()
        raw = outgoing.message(f"<{draft}@webmail.postamt>", now)
        if len(raw) > LARGEST_MESSAGE:
            raise RefusedRequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "The mail is too large: SES takes 40 MB, with all attachments encoded.",
            )
        record: dict[str, Value] = {
            "state": DraftState.SENDING,
            "at": iso(now),
            "subject": outgoing.subject[:300],
            "sender": outgoing.sender.address,
            "to": ", ".join(a.address for a in (*outgoing.to, *outgoing.cc))[:1_000],
            "bcc": json.dumps([a.address for a in outgoing.bcc]),
            "size": len(raw),
            "expires": round(now) + KEPT_SECONDS,
        }
        holder = _drafts(mailbox)
        if not self._table.put(holder, draft, record, expect=None):
            refused = {"state": DraftState.REFUSED}
            if not self._table.put(holder, draft, record, expect=refused):
                return self.look(mailbox, draft) or SendResult(DraftState.SENDING)
        try:
            self._kept.put(outbox_key(mailbox, draft), raw)
        except (ClientError, BotoCoreError):
            self._refuse(holder, draft, "It could not be kept, and so was not sent.")
            raise
        try:
            message_id = self._mailer.send(outgoing.sender.address, outgoing.recipients, raw)
        except SurelyNotSentError as refusal:
            return self._refuse(holder, draft, refusal.problem)
        except PerhapsSentError:
            return SendResult(DraftState.SENDING)
        accepted: dict[str, Value] = {"state": DraftState.ACCEPTED, "message_id": message_id}
        with contextlib.suppress(ClientError, BotoCoreError):  # it is sent, whoever learns of it
            self._table.update(holder, draft, accepted, expect={})
        return self._complete(mailbox, draft, {**record, **accepted}, raw)

    def look(self, mailbox: str, draft: str) -> SendResult | None:
        """Say what became of a draft, and complete what is known to be sent; None: it was not
        tried."""
        record = self._table.get(_drafts(mailbox), draft)
        if record is None:
            return None
        state = DraftState(str(record["state"]))
        if state is DraftState.ACCEPTED:
            return self._completed(mailbox, draft, record)
        return SendResult(state, str(record.get("reason", "")))

    def complete(self, mailbox: str) -> None:
        """Complete all of a mailbox's that is known to be sent, where someone was stopped in the
        middle; what cannot be completed now is left to the next time."""
        after = ""
        with contextlib.suppress(ClientError, BotoCoreError):
            for _ in range(_MOST_PAGES):
                page = self._table.names(_drafts(mailbox), most=_AT_ONCE, after=after)
                for draft, record in page.found:
                    if record["state"] == DraftState.ACCEPTED:
                        self._completed(mailbox, draft, record)
                if not (after := page.after):
                    return

    def _completed(self, mailbox: str, draft: str, record: Mapping[str, Value]) -> SendResult:
        try:
            raw = self._store.read(outbox_key(mailbox, draft))
        except (ClientError, BotoCoreError, MailGoneError):
            return SendResult(DraftState.ACCEPTED)  # it is sent, whatever is left of it here
        return self._complete(mailbox, draft, record, raw)

    def _complete(
        self, mailbox: str, draft: str, record: Mapping[str, Value], raw: bytes
    ) -> SendResult:
        """Keep a mail that was sent. May be done any number of times; fails without harm."""
        at = str(record["at"])
        key = sent_key(mailbox, at[: len("2026-11")], draft)
        bcc = json.loads(str(record["bcc"]))
        kept = with_message_id(raw, str(record["message_id"]), bcc)
        line: Fields = {
            "key": key,
            "sender": str(record["sender"]),
            "to": str(record["to"]),
            "subject": str(record["subject"]),
            "size": len(kept),
            **_facts(kept),
        }
        try:
            self._kept.put_once(key, kept)
            self._table.put(sent_holder(mailbox), f"{at}#{draft}", line)
            self._table.update(_drafts(mailbox), draft, {"state": DraftState.SENT}, expect={})
        except (ClientError, BotoCoreError):
            return SendResult(DraftState.ACCEPTED)
        return SendResult(DraftState.SENT)

    def _refuse(self, holder: str, draft: str, reason: str) -> SendResult:
        news: dict[str, Value] = {"state": DraftState.REFUSED, "reason": reason}
        self._table.update(holder, draft, news, expect={"state": DraftState.SENDING})
        return SendResult(DraftState.REFUSED, reason)


def _facts(raw: bytes) -> Fields:
    """Return what a line of Sent says besides what a person reads: what belongs together by it."""
    facts = facts_of_head(raw) or ListFacts()
    said = {"own_id": facts.own_id, "references": " ".join(facts.references)}
    said["attachment"] = "yes" if facts.attachment else ""
    return {name: value for name, value in said.items() if value}


def sent_holder(mailbox: str) -> str:
    """Return under which name the list of a mailbox's sent mail stands in the table."""
    return f"sent#{mailbox}"


def _drafts(mailbox: str) -> str:
    return f"draft#{mailbox}"
