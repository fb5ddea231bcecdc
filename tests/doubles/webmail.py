"""A webmail in memory, a clock to be turned, and a browser's part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.cookies import SimpleCookie
from typing import Any

from postamt_sync.index.entry import (
    Acceptance,
    Basis,
    Header,
    IndexEntry,
    KnownFacts,
    ReceivedFor,
    Stored,
)
from postamt_sync.index.list_facts import facts_of_head
from postamt_sync.index.summary import summary_of_head
from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.headers import ses_headers
from postamt_sync.mail.routing import Addressee
from postamt_sync.webmail.day_place import DayPlace
from postamt_sync.webmail.exchange import JSON, WebAnswer, WebRequest
from postamt_sync.webmail.keys import FixedKeys
from postamt_sync.webmail.known_devices import COOKIE as DEVICE_COOKIE
from postamt_sync.webmail.mail_list import mail_address
from postamt_sync.webmail.sessions import COOKIE
from postamt_sync.webmail.unindexed import MailPlaces
from postamt_sync.webmail.users import WebmailUsers
from postamt_sync.webmail.webmail import Webmail, WebmailPorts
from tests.doubles.webmail_ports import (
    MemoryIndex,
    MemoryKept,
    MemoryLines,
    MemoryMailer,
    MemoryStore,
    MemoryTable,
)

ORIGIN = "https://webmail.example.com"
KEY = b"k" * 32
DEVICE_KEY = b"d" * 32
START = 1_795_800_000.0
"""2026-11-27, in the evening."""
SECRET = "correct horse battery staple"
CHEAP = 16
"""What hashing a secret costs in tests."""
PEER = "192.0.2.7"
HANDED = HandedRoutes(
    (
        Addressee("anna", ("anna@example.com", "example.com"), default=True),
        Addressee("bruno", ("bruno@example.com", "b.b@example.com"), default=False),
    )
)


class WebmailScene:
    """A webmail with the mailboxes anna (default) and bruno, who both sign in with SECRET."""

    def __init__(
        self,
        *,
        day: DayPlace | None = None,
        handed: HandedRoutes = HANDED,
        origins: Sequence[str] = (ORIGIN,),
        lists: bool = False,
    ) -> None:
        self.now = START
        self.table = MemoryTable()
        self.index = MemoryIndex()
        self.lines = MemoryLines(self.index, handed) if lists else None
        self.index.lines = self.lines
        self.store = MemoryStore()
        self.mailer = MemoryMailer()
        self.kept = MemoryKept(self.store)
        self.said: list[tuple[str, str, Mapping[str, object]]] = []
        self.users = WebmailUsers(self.table, self.clock, CHEAP)
        self.ports = WebmailPorts(
            table=self.table,
            index=self.index,
            store=self.store,
            handed=handed,
            keys=FixedKeys(KEY),
            device_keys=FixedKeys(DEVICE_KEY),
            host="webmail.example.com",
            origins=origins,
            clock=self.clock,
            say=lambda *line: self.said.append(line),
            places=MailPlaces(),
            mailer=self.mailer,
            kept=self.kept,
            day=day,
            hash_cost=CHEAP,
            lines=self.lines,
        )
        self.webmail = Webmail(self.ports)

    def clock(self) -> float:
        return self.now

    def let_in(self, *mailboxes: str, sees_all: bool = False) -> None:
        for mailbox in mailboxes:
            self.users.add(mailbox, SECRET, sees_all=sees_all)

    def arrive(
        self,
        name: str,
        raw: bytes = b"From: a@b.example\r\nSubject: hello\r\n\r\nhello\r\n",
        *,
        to: Sequence[str] = ("anna@example.com",),
        received_at: str = "2026-11-27T10:00:00.000Z",
        verdicts: Verdicts | None = None,
    ) -> str:
        """Store and index a mail; return its id in addresses.

        Without recipients no receipt has come. A function that keeps lists has then noted whom
        SES's own Received names; an older one has not.
        """
        key = f"incoming/{name}"
        ses = ses_headers(raw, key)
        named = ReceivedFor(Basis.OBJECT, (ses and ses.recipient) or "")
        self.store.objects[key] = raw
        self.index.put(
            IndexEntry(
                name,
                key,
                frozenset(to),
                Acceptance(Basis.RECEIPT, received_at, "a@b.example", verdicts or Verdicts()),
                Header(Basis.RECEIPT, summary_of_head(raw)),
                Stored("etag", len(raw), "01"),
                KnownFacts(Basis.RECEIPT, facts) if (facts := facts_of_head(raw)) else None,
                None if to or self.lines is None else named,
            )
        )
        return mail_address(name)

    def browser(self, mailbox: str = "", peer: str = PEER) -> WebBrowser:
        """Return a browser, signed in if a mailbox is named."""
        browser = WebBrowser(self.webmail, peer)
        if mailbox:
            assert browser.sign_in(mailbox).status == 200
        return browser


class WebBrowser:
    """Keeps the cookies, and says where it comes from."""

    def __init__(self, webmail: Webmail, peer: str = PEER) -> None:
        self.webmail = webmail
        self._peer = peer
        self.token = ""
        self.device = ""

    def get(self, address: str, **headers: str) -> WebAnswer:
        path, _, query = address.partition("?")
        asked = dict(p.partition("=")[::2] for p in query.split("&") if p)
        return self.send("GET", path, b"", asked, headers)

    def look(self, address: str) -> Any:
        """Return the JSON of an answer that has to be well."""
        answer = self.get(address)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def post(self, path: str, fields: Any = None, **headers: str) -> WebAnswer:
        named = {"origin": ORIGIN, "content-type": JSON, **headers}
        return self.send("POST", path, json.dumps(fields or {}).encode(), {}, named)

    def sign_in(self, mailbox: str, secret: str = SECRET) -> WebAnswer:
        return self.post("/api/sign-in", {"mailbox": mailbox, "secret": secret})

    def sign_in_known(self, mailbox: str, secret: str = SECRET, **headers: str) -> WebAnswer:
        return self.post("/api/sign-in/known", {"mailbox": mailbox, "secret": secret}, **headers)

    def send(
        self,
        method: str,
        path: str,
        body: bytes,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> WebAnswer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {COOKIE: self.token, DEVICE_COOKIE: self.device}
        if sent := "; ".join(f"{key}={value}" for key, value in kept.items() if value):
            named.setdefault("cookie", sent)
        answer = self.webmail.answer(WebRequest(method, path, query, named, body, self._peer))
        for each in answer.cookies:
            name, value = next((m.key, m.value) for m in SimpleCookie(each).values())
            if name == COOKIE:
                self.token = value
            elif name == DEVICE_COOKIE:
                self.device = value
        return answer
