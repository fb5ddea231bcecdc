"""Sending a mail once, wherever that is interrupted, and keeping what was sent.

| step | what is durable after it |
|---|---|
| 1 create the draft's record as `sending`, unless it exists | that it is about to be sent |
| 2 store the message below `outbox/` | what is sent |
| 3 ask SES | |
| 4 set the record to `accepted`, with the Message-ID from SES | that it was sent |
| 5 store the message below `sent/`, and add it to the list of Sent | |
| 6 set the record to `sent` | |

If a record is `sending`, SES may have been asked, and is never asked again; a person may send it as
a new draft. From `accepted` on, the rest is completed at the next look. Only if SES certainly did
not send it, the record is `refused`, and sending may be tried again.
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
"""How long a draft's record is kept."""
_AT_ONCE = 500
_MOST_PAGES = 20
"""How many pages of drafts are searched for some to be completed."""


class DraftState(enum.StrEnum):
    """What has become of a draft. The values are stored."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    SENT = "sent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of a draft. `reason` is a sentence for the user, if it was refused."""

    state: DraftState
    reason: str = ""


class Sending:
    """Sends the mailboxes' drafts."""

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
        """Send a draft, unless that was tried before. Raises what the table and the store raise.

        Raises RefusedRequestError if the message is too large; then nothing is noted.
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
            self._refuse(holder, draft, "It could not be stored, so it was not sent.")
            raise
        try:
            message_id = self._mailer.send(outgoing.sender.address, outgoing.recipients, raw)
        except SurelyNotSentError as refusal:
            return self._refuse(holder, draft, refusal.problem)
        except PerhapsSentError:
            return SendResult(DraftState.SENDING)
        accepted: dict[str, Value] = {"state": DraftState.ACCEPTED, "message_id": message_id}
        with contextlib.suppress(
            ClientError, BotoCoreError
        ):  # it is sent, whether or not that is noted
            self._table.update(holder, draft, accepted, expect={})
        return self._complete(mailbox, draft, {**record, **accepted}, raw)

    def look(self, mailbox: str, draft: str) -> SendResult | None:
        """Return what became of a draft, None if it was not tried. Completes it if it was sent."""
        record = self._table.get(_drafts(mailbox), draft)
        if record is None:
            return None
        state = DraftState(str(record["state"]))
        if state is DraftState.ACCEPTED:
            return self._completed(mailbox, draft, record)
        return SendResult(state, str(record.get("reason", "")))

    def complete(self, mailbox: str) -> None:
        """Complete all of a mailbox's drafts that were sent and then interrupted.

        What cannot be completed now is left to the next time.
        """
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
            return SendResult(DraftState.ACCEPTED)  # it is sent, even if it cannot be read here
        return self._complete(mailbox, draft, record, raw)

    def _complete(
        self, mailbox: str, draft: str, record: Mapping[str, Value], raw: bytes
    ) -> SendResult:
        """Keep a mail that was sent. May be repeated any number of times, and may fail."""
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
    """Return the facts for a line of Sent that people do not read, such as for conversations."""
    facts = facts_of_head(raw) or ListFacts()
    said = {"own_id": facts.own_id, "references": " ".join(facts.references)}
    said["attachment"] = "yes" if facts.attachment else ""
    return {name: value for name, value in said.items() if value}


def sent_holder(mailbox: str) -> str:
    """Return the holder of the list of a mailbox's sent mail."""
    return f"sent#{mailbox}"


def _drafts(mailbox: str) -> str:
    return f"draft#{mailbox}"
