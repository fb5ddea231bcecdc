"""Index function, webmail and daemon agree on who sees a mail, and in which folder."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from postamt_sync.index.entry import IndexEntry, entries, merge, with_header
from postamt_sync.index.lists import NOBODY, lines_of, mailboxes_of
from postamt_sync.index.summary import summary_of_head
from postamt_sync.mail.arrival import Source, Verdicts
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.headers import addresses, ses_headers
from postamt_sync.mail.notification import read_notification
from postamt_sync.mail.routing import Addressee, VerdictFolders, decide, merge_verdicts
from postamt_sync.webmail.placing import Placing
from tests.doubles.notices import HEADERS, MESSAGE_ID, PREFIX, event, receipt, stored
from tests.doubles.webmail_ports import MemoryStore

KEY = PREFIX + MESSAGE_ID
NAMES = ("anna", "bruno", "carl")
forms = st.sampled_from(
    ["anna@home.example", "bruno@home.example", "home.example", ".home.example", "x.example",
     "anna+shop@home.example", "ß@x.example", "carl@sub.home.example"]
)  # fmt: skip
addressed = st.sampled_from(
    ["anna@home.example", "ANNA@Home.Example", "anna+shop@home.example", "bruno+a+b@home.example",
     "who@home.example", "who@a.b.home.example", "ß@x.example", "SS@x.example",
     "nobody@elsewhere.example", '"anna"@home.example']
)  # fmt: skip
verdict = st.sampled_from(["PASS", "FAIL", "GRAY", "PROCESSING_FAILED"])
folders = st.sampled_from(["", "Junk", "Quarantine"])
notices = st.lists(st.sampled_from(["event", "receipt"]), min_size=1, max_size=4)


@st.composite
def all_routes(draw: st.DrawFn) -> HandedRoutes:
    default = draw(st.sampled_from(NAMES))
    every = tuple(
        Addressee(name, tuple(draw(st.lists(forms, max_size=3))), name == default) for name in NAMES
    )
    return HandedRoutes(every, VerdictFolders(*(draw(folders) for _ in range(3))))


def receipt_with(head: bytes, recipients: Sequence[str], verdicts: Verdicts) -> str:
    """The receipt of a mail, with the mail's own header as SES tells it."""
    told: dict[str, Any] = json.loads(receipt(recipients=tuple(recipients)))
    lines = head.decode().split("\r\n\r\n")[0].replace("\r\n ", " ").split("\r\n")
    told["mail"]["headers"] = [
        dict(zip(("name", "value"), line.split(": ", 1), strict=True)) for line in lines
    ]
    for name in ("spam", "virus", "dmarc"):
        told["receipt"][f"{name}Verdict"] = {"status": getattr(verdicts, name)}
    told["receipt"]["dmarcPolicy"] = verdicts.dmarc_policy
    return json.dumps(told)


def entry_of(message: str) -> IndexEntry:
    (entry,) = entries(read_notification(message, Source.INDEX), PREFIX)
    return entry


@settings(deadline=None)
@given(
    handed=all_routes(),
    recipients=st.lists(addressed, min_size=1, max_size=4, unique=True),
    named=st.one_of(st.none(), addressed),
    to=st.lists(addressed, max_size=2),
    verdicts=st.builds(
        Verdicts, spam=verdict, virus=verdict, dmarc=verdict,
        dmarc_policy=st.sampled_from(["none", "reject"]),
    ),
    heard=notices,
)  # fmt: skip
def test_all_three_agree(
    handed: HandedRoutes,
    recipients: list[str],
    named: str | None,
    to: list[str],
    verdicts: Verdicts,
    heard: list[str],
) -> None:
    head = stored(headers={**HEADERS, "To": ", ".join(to)}, recipient=named or "x")
    head = head.replace(b"Spam-Verdict: PASS", f"Spam-Verdict: {verdicts.spam}".encode())
    head = head.replace(b"Virus-Verdict: PASS", f"Virus-Verdict: {verdicts.virus}".encode())
    ses = ses_headers(head, KEY)
    assert ses is not None
    told = receipt_with(head, recipients, verdicts)
    news = {
        "event": with_header(entry_of(event()), summary_of_head(head), ses),
        "receipt": entry_of(told),
    }
    entry = functools.reduce(merge, (news[each] for each in heard))

    # The daemon, as `Fetcher` has it.
    envelope = read_notification(told, Source.QUEUE).arrivals[0].envelope
    assert envelope is not None
    has_receipt = "receipt" in heard
    by_daemon = decide(
        handed.routes,
        receipt=envelope.recipients if has_receipt else (),
        received=ses.recipient,
        header_addresses=addresses(head),
        grace_over=False,
    )
    folder = handed.folders.of(
        merge_verdicts(envelope.verdicts if has_receipt else None, ses.verdicts)
    )

    store = MemoryStore()
    store.objects[KEY] = head
    placing = Placing(handed, store)
    by_webmail = placing.mailboxes(entry)
    assert by_webmail == (by_daemon.mailboxes if by_daemon else ())
    assert mailboxes_of(entry, handed) == (by_webmail or (NOBODY,))
    kind = "junk" if folder else "inbox"
    assert placing.is_junk(entry) is bool(folder)
    lists = {joined.partition("\n")[0] for joined in lines_of(entry, {}, handed)}
    assert lists == {f"{mailbox}#{kind}" for mailbox in by_webmail or (NOBODY,)}
    assert store.read_keys == []  # nothing had to be asked for that
