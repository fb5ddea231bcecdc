"""Mails that are broken in every way that a seed brings about, and what the webmail makes of them.

    python -m tests.webmail.broken_mails 10000 [FIRST]

reads and answers so many of them, from seed FIRST on, and says how that went: whatever is wrong is
told with its seed, and ends it with 1. Wrong is an answer of 500, one that took five seconds of
work, one without a bound, and a process that has grown. The suite reads some dozens.
"""

from __future__ import annotations

import base64
import json
import quopri
import random
import resource
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable

from tests.doubles.webmail import WebBrowser, WebmailScene
from tests.webmail.hostile import ALL

_HOSTILE = tuple(map(str, ALL.values()))

LARGEST_ANSWER = 8_000_000
"""Bytes: text and HTML are cut long before; attachments here are smaller."""

SLOWEST = 5.0
"""Seconds of work for one answer."""
MOST_MEMORY = 256
"""Megabytes of this process, whatever it has read: the function at AWS has 1,024."""
TOLD_EVERY = 250

_CHARSETS = (
    "utf-8",
    "iso-8859-1",
    "utf-16",
    "utf-7",
    "shift_jis",
    "gb2312",
    "x-unknown",
    "idna",
    "",
    "base64",
    "\x00",
    "utf-8\r\n x",
    "unicode_escape",
    "punycode",
    "a" * 500,
)
_ENCODINGS = (
    "7bit",
    "8bit",
    "base64",
    "quoted-printable",
    "x-uuencode",
    "binary",
    "",
    "BASE64;",
    "quoted-printable\x00",
    "gzip",
)
_TYPES = (
    "text/plain",
    "text/html",
    "text/calendar",
    "message/rfc822",
    "multipart/mixed",
    "image/png",
    "multipart/alternative",
    "multipart/related",
    "multipart/digest",
    "message/partial",
    "message/delivery-status",
    "application/pdf",
    "text/",
    "/",
    "",
    "text",
    "TEXT/HTML",
    "multipart/x",
    "application/ms-tnef",
    "text/html/x",
)
_NAMES = (
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "References",
    "In-Reply-To",
    "Reply-To",
    "Content-ID",
    "X-Y",
    "from",
    "SUBJECT",
    "Received",
    "List-Unsubscribe",
)
_TEXTS = (
    "Tea?",
    "=?utf-8?b?w6Q=?=",
    "=?utf-8?b?w6?=",
    "=?x?q?=ff?=",
    "=?utf-8?q?a=0D=0ABcc:_x@y?=",
    "\xff\xfe",
    "\u202e\u0000\u2028",
    "<a@b.example>",
    '"a\\" <a@b>',
    "a@b, <@c>, ,;:(",
    "((((",
    "<" * 300,
    "x" * 5_000,
    "",
    " \t ",
    "Mon, 99 Foo 0000 99:99:99 +9999",
    "<one@x> " * 200,
    "=?" * 500,
    "a, " * 3_000,
    "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"),
)
_CALENDAR = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;TZID=Nowhere/Land:20269999T999999\r\nSUMMARY:x\\,"
    "\r\n y\r\nRRULE:FREQ=SECONDLY\r\nATTENDEE:mailto:\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n"
)


def broken_mail(seed: int) -> bytes:
    """Return the mail of this seed; the same in every run."""
    rng = random.Random(seed)
    raw = _part(rng, rng.choice((0, 0, 1, 2, 2, 3)))
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        raw = rng.choice(_FAULTS)(raw, rng)
    return raw[:300_000]


def _part(rng: random.Random, depth: int) -> bytes:
    edge = rng.choice((f"edge{rng.random()}", "a", "", "a" * 200, "--", "x y", "a\x00b", "é"))
    kind = rng.choice(_TYPES[4:9] if depth else _TYPES)
    head = [f"{rng.choice(_NAMES)}: {rng.choice(_TEXTS)}" for _ in range(rng.randrange(8))]
    head.append(
        f'Content-Type: {kind}; charset={rng.choice(_CHARSETS)}; boundary="{edge}"; '
        f"name*0*=utf-8''%e4%zz; name={rng.choice(_TEXTS)[:200]}"
    )
    head.append(f"Content-Transfer-Encoding: {(encoding := rng.choice(_ENCODINGS))}")
    if rng.random() < 0.5:
        how = rng.choice(("attachment", "inline", "", "x", "attachment; filename=../../etc/passwd"))
        head.append(f'Content-Disposition: {how}; filename*="{rng.choice(_TEXTS)[:100]}')
    rng.shuffle(head)
    ends = rng.choice(("\r\n", "\r\n", "\n", "\r"))
    lead = (ends.join(head) + ends * 2).encode("utf-8", "replace")
    if depth:
        mark = f"{ends}--{edge}".encode("utf-8", "replace")
        parts = [_part(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 2, 3)))]
        inner = b"".join(mark + ends.encode() + part for part in parts)
        return lead + b"preamble" + inner + rng.choice((mark + b"--", b"", mark)) + b"\r\nepilogue"
    return lead + _encoded(_body(rng), encoding, rng)


def _body(rng: random.Random) -> bytes:
    return rng.choice(
        (
            lambda: b"Dear Anna,\r\n-- \r\nClara\r\n",
            lambda: rng.choice(_HOSTILE).encode(),
            lambda: b"<b>" * rng.randrange(3_000) + b"deep",
            lambda: b"<table><tr><td style='x:" + b"y" * 10_000 + b"<p",
            lambda: rng.randbytes(rng.randrange(2_000)),
            lambda: _CALENDAR.encode() * rng.randrange(1, 30),
            lambda: b"\x89PNG" + rng.randbytes(100),
            lambda: b"From: a@b.example\r\nSubject: nested\r\n\r\nin it",
            lambda: b"begin 644 x\r\n" + b"M" * 61 + b"\r\nend\r\n",
            lambda: b"=" * 5_000,
            lambda: "\U0001f600".encode() * 1_000,
            lambda: b"<!--" + b"-" * 5_000 + b"<![CDATA[" + b"<svg><style>" * 50,
        )
    )()


def _encoded(body: bytes, encoding: str, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return body
    if encoding.lower().startswith("base64"):
        return base64.encodebytes(body)[: rng.choice((None, -1, -3, 50))]
    if encoding.startswith("quoted"):
        return quopri.encodestring(body)
    return body


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _missing(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw) + 1)
    return raw[:start] + raw[start + rng.randrange(300) :]


def _twice(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw) + 1)
    return raw + raw[start : start + 20_000]


def _flipped(raw: bytes, rng: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(min(30, len(changed))):
        changed[rng.randrange(len(changed))] = rng.choice(b'\x00\xff\r\n":;=<>-%\\ ')
    return bytes(changed)


def _nested(raw: bytes, rng: random.Random) -> bytes:
    levels = rng.choice((5, 40, 1_200))
    lead = rng.choice(
        (
            b"Content-Type: message/rfc822\r\n\r\n",
            b'Content-Type: multipart/mixed; boundary="a"\r\n\r\n--a\r\n',
        )
    )
    return lead * levels + raw


def _many(raw: bytes, rng: random.Random) -> bytes:
    part = b"--m\r\nContent-Type: text/html\r\n\r\n<p>x\r\n"
    return (
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n" + part * rng.choice((10, 3_000)) + raw
    )


def _long_head(raw: bytes, rng: random.Random) -> bytes:
    name = rng.choice(
        (b"To: ", b"References: ", b"Content-Type: ", b"Subject: ", b"X" * 3_000 + b": ")
    )
    return (
        name
        + rng.choice((b"a@b.example, ", b"<i@d> ", b"; x=y", b"\r\n x")) * 10_000
        + b"\r\n"
        + raw
    )


_FAULTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_cut, _missing, _twice, _flipped, _flipped, _nested, _many, _long_head),
)


class Reader:
    """Anna, who opens whatever comes and answers it."""

    def __init__(self) -> None:
        self.scene = WebmailScene()
        self.scene.let_in("anna")
        self.browser: WebBrowser = self.scene.browser("anna")
        self.statuses: Counter[int] = Counter()
        self.slowest = (0.0, 0)
        """Seconds of work for one answer, and of which seed."""
        self._seed = 0
        self._body = b""

    def read(self, seed: int) -> list[str]:
        """Read the mail of this seed in every way; return what went wrong."""
        self.scene.store.objects.clear()
        self.scene.index.entries.clear()
        address = self.scene.arrive("broken", broken_mail(seed))
        self._seed = seed
        wrong = list(self._all(address))
        wrong += [f"{line}" for line in self.scene.said]
        self.scene.said.clear()
        return [f"seed {seed}: {each}" for each in wrong]

    def _all(self, address: str) -> list[str]:
        at = f"/api/mails/{address}"
        wrong = self._look("/api/mails") + self._look(at)
        told = json.loads(self._body) if self._body.startswith(b"{") else {}
        attachments = told.get("attachments", [])
        ways = [f"{at}/html", f"{at}/html?images=1", f"{at}/source"]
        for each in attachments[:4]:
            ways += [f"{at}/parts/{each['part']}", f"{at}?part={each['part']}:"]
        for way in ways:
            wrong += self._look(way)
        return wrong + self._answer(address, attachments)

    def _look(self, way: str) -> list[str]:
        begun = time.process_time()
        answer = self.browser.get(way)
        took = time.process_time() - begun
        self.slowest = max(self.slowest, (took, self._seed))
        self.statuses[answer.status] += 1
        self._body = answer.body
        if took >= SLOWEST:
            return [f"{way}: {took:.1f} s"]
        if answer.status >= 500:
            return [f"{way}: {answer.status}"]
        if len(answer.body) > LARGEST_ANSWER:
            return [f"{way}: {len(answer.body)} bytes"]
        unsafe = [
            v for v in answer.all_headers.values() if "\r" in v or "\n" in v or not v.isascii()
        ]
        return [f"{way}: header {unsafe}"] if unsafe else []

    def _answer(self, address: str, attachments: list[dict[str, str]]) -> list[str]:
        """Answer it, and forward it with all that is attached."""
        fields = {
            "draft": str(uuid.UUID(int=self.scene.mailer.asked)),
            "from": "anna@example.com",
            "to": "clara@sender.example",
            "subject": "Re: broken",
            "text": "What was this?",
            "answers": address,
            "forward": {"mail": address, "parts": [each["part"] for each in attachments[:100]]},
        }
        answer = self.browser.post("/api/send", fields)
        self.statuses[answer.status] += 1
        if answer.status != 200:
            return [f"answer: {answer.status} {answer.body[:200]!r}"]
        raw = self.scene.mailer.sent.pop()[2]
        head = raw.partition(b"\r\n\r\n")[0]
        names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in b" \t"]
        once = Counter(name.lower() for name in names)
        odd = [name for name, count in once.items() if count > 1 or name in {b"bcc", b"x-y"}]
        return [f"answer: {odd}"] if odd or not head.isascii() else []


def main(count: int, first: int = 0) -> int:
    """Read so many; return how a shell is told."""
    reader = Reader()
    wrong: list[str] = []
    for number in range(1, count + 1):
        for each in reader.read(first + number - 1):
            wrong.append(each)
            print(each)
        if number % TOLD_EVERY == 0 or number == count:
            seconds, seed = reader.slowest
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            statuses = {int(status): n for status, n in sorted(reader.statuses.items())}
            print(
                f"{number} mails from {first} on, {len(wrong)} wrong; answers {statuses}; "
                f"slowest {seconds:.2f} s for one of seed {seed}; {peak:.0f} MB",
                flush=True,
            )
            if peak > MOST_MEMORY:
                wrong.append("memory")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:] or ["300"])))
