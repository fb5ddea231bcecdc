"""Header blocks as senders write them, rightly and wrongly, each with what its sender meant."""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator
from dataclasses import dataclass

PHRASES = {
    "windows-1252": ["Grüße aus Köln", "naïve “café” \u2013 5 €", "Smörgåsbord"],
    "iso-8859-1": ["Grüße aus Köln", "“Ünïcode” \u2013 €"],
    "iso-8859-15": ["Œuvre à 5 €"],
    "iso-8859-2": ["Zażółć gęślą jaźń"],
    "windows-1250": ["Příliš žluťoučký kůň"],
    "koi8-r": ["Привет из Москвы", "Счёт на оплату"],
    "windows-1251": ["Привет из Москвы", "Рахунок № 5 їжак"],
    "windows-1253": ["Καλημέρα κόσμε"],
    "windows-1254": ["İstanbul'dan ş\u0131k ğ"],
    "iso-8859-9": ["İstanbul'dan ş\u0131k ğ"],
    "windows-1255": ["שלום עולם"],
    "windows-1256": ["مرحبا بالعالم"],
    "tis-620": ["สวัสดีชาวโลก"],
    "shift_jis": ["日本語の件名です", "㈱テスト①のご案内"],
    "euc-jp": ["日本語の件名です", "㈱テスト①のご案内"],
    "iso-2022-jp": ["日本語の件名です", "㈱テスト①のご案内", "Re: 会議"],
    "gb2312": ["你好世界", "朱镕基的邮件"],
    "gb18030": ["你好世界", "镕堃㐀"],
    "big5": ["你好世界", "測試郵件"],
    "euc-kr": ["안녕하세요 세계", "똠방각하"],
    "utf-8": ["Grüße aus Köln", "Привет из Москвы", "日本語の件名です", "Kaffee ☕ 😀"],
}
"""Subjects by the charset that senders say they are in."""

LISTS: list[tuple[str, tuple[str, ...]]] = [
    ("Anna <anna@x.example>", ("anna@x.example",)),
    ('"Anna, B." <anna@x.example>, bruno@x.example', ("anna@x.example", "bruno@x.example")),
    ('"Team <team@x.example>', ("team@x.example",)),
    ('Team" <team@x.example>', ("team@x.example",)),
    ('"A <a@x.example>, "B <b@x.example>', ("a@x.example", "b@x.example")),
    ("Smile :-) <a@x.example>, b@x.example", ("a@x.example", "b@x.example")),
    ("a@x.example (home, b@x.example", ("a@x.example", "b@x.example")),
    ("a@x.example (at home), b@x.example", ("a@x.example", "b@x.example")),
    ("a@x.example (one (two) three)", ("a@x.example",)),
    ("a@x.example; b@x.example", ("a@x.example", "b@x.example")),
    ("Team: a@x.example, B <b@x.example>;", ("a@x.example", "b@x.example")),
    ("undisclosed-recipients:;", ()),
    ("Anna <anna@x.example", ("anna@x.example",)),
    ("<anna@x.example>>, b@x.example", ("anna@x.example", "b@x.example")),
    ("<<anna@x.example>>", ("anna@x.example",)),
    ("Doe, John <john@x.example>", ("john@x.example",)),
    ("'anna@x.example' <anna@x.example>", ("anna@x.example",)),
    ('"anna@x.example" <anna@x.example>', ("anna@x.example",)),
    ('"other@x.example" <anna@x.example>', ("anna@x.example",)),
    ("a@x.example,, b@x.example,", ("a@x.example", "b@x.example")),
    ("=?utf-8?Q?Doe,_J=C3=BCrgen?= <j@x.example>", ("j@x.example",)),
    ("=?utf-8?Q?=22A=22_<x>?= <j@x.example>", ("j@x.example",)),
    ('"A \\" B" <a@x.example>, b@x.example', ("a@x.example", "b@x.example")),
    ("<@relay.example:a@x.example>", ("a@x.example",)),
    ("a@x.example\n\t, b@x.example", ("a@x.example", "b@x.example")),
    ("\n a@x.example", ("a@x.example",)),
    ("Jürgen <j@x.example>", ("j@x.example",)),
    ("anna@münchen.example", ("anna@münchen.example",)),
    ("[Anna] <a@x.example>", ("a@x.example",)),
    ("Anna [x] B. <a@x.example>, b@x.example", ("a@x.example", "b@x.example")),
    ("A. B. <a@x.example>", ("a@x.example",)),
    (
        "a.@x.example, .b@x.example, c..d@x.example",
        ("a.@x.example", ".b@x.example", "c..d@x.example"),
    ),
    ("a@x.example b@x.example\n c@x.example", ("a@x.example", "b@x.example", "c@x.example")),
    ('\\"A\\" <a@x.example>, b@x.example', ("a@x.example", "b@x.example")),
    ("a@x.example\rX-Y: z", ("a@x.example",)),
    ("o'neil+x@x.example", ("o'neil+x@x.example",)),
]
"""Values of To, and the addresses that are meant."""

NO_HEADERS = [
    b"This line is no header",
    b"From bounce@x.example Mon Nov  2 10:11:12 2026",
    b">From bounce@x.example Mon Nov  2 10:11:12 2026",
    b"X My: y",
    "Grüße: x".encode(),
    b"Gr\xfc\xdfe: x",
    b": nameless",
    b"\0\0\0",
    b"=?utf-8?q?X?=: y",
    b"X\tY: z",
    b"<html>",
    b"]",
]
"""Lines within a header that are none."""


@dataclass(frozen=True)
class Sample:
    """One header block with the beginning of a body, and what its sender meant by it."""

    kind: str
    head: bytes
    to: tuple[str, ...]
    subject: str


def samples(seed: int = 1) -> Iterator[Sample]:
    """Yield the corpus, the same one for the same seed."""
    chance = random.Random(seed)
    for line in NO_HEADERS:
        for place in range(4):
            yield _with_line(chance, line, place)
    for value, meant in LISTS:
        yield _list(value, meant)
        yield _list(value, meant, "cc@x.example")
    for charset, phrases in PHRASES.items():
        for phrase in phrases:
            yield from _raw(charset, phrase)
            yield from _words(chance, charset, phrase)
    yield from _cut()
    yield from _layouts()


def as_sent(charset: str, phrase: str) -> bytes:
    """Encode as senders do, who use more than the charset has that they name."""
    wider = {
        "iso-8859-1": "cp1252", "iso-8859-9": "cp1254", "gb2312": "gbk", "euc-kr": "cp949",
        "shift_jis": "cp932", "euc-jp": "euc_jis_2004", "big5": "big5hkscs", "tis-620": "cp874",
    }  # fmt: skip
    if charset != "iso-2022-jp":
        return phrase.encode(wider.get(charset, charset))
    return b"".join(
        c.encode("ascii") if c.isascii() else b"\x1b$B" + _jis(c) + b"\x1b(B" for c in phrase
    )


def _jis(character: str) -> bytes:
    first, second = character.encode("cp932")
    row = (first - (0x81 if first < 0xA0 else 0xC1)) * 2 + 0x21
    if second >= 0x9F:
        return bytes((row + 1, second - 0x7E))
    return bytes((row, second - (0x1F if second < 0x80 else 0x20)))


def _list(value: str, meant: tuple[str, ...], *cc: str) -> Sample:
    fields = [b"From: s@s.example", b"To: " + value.encode(), *(f"Cc: {c}".encode() for c in cc)]
    fields += [b"Subject: plain", b"Date: today"]
    kind = "list before Cc" if cc else "list"
    head = b"\n".join(fields).replace(b"\n", b"\r\n") + b"\r\n\r\nTo: body@x.example\r\n"
    return Sample(kind, head, (*meant, *cc), "plain")


def _with_line(chance: random.Random, line: bytes, place: int) -> Sample:
    fields = [b"From: s@s.example", b"To: a@x.example", b"Cc: b@x.example", b"Subject: Hallo"]
    chance.shuffle(fields)
    fields.insert(place, line)
    order = {b"To": "a@x.example", b"Cc": "b@x.example"}
    to = tuple(order[f[:2]] for f in fields if f[:3] in (b"To:", b"Cc:"))
    end = chance.choice([b"\n", b"\r\n"])
    return Sample("no header", end.join([*fields, b"", b"body"]), to, "Hallo")


def _mail(subject: bytes, content: str, more: str = "") -> bytes:
    head = b"To: a@x.example\nSubject: " + subject + b"\n" + more.encode()
    return (head + content.encode()).replace(b"\n", b"\r\n")


def _raw(charset: str, phrase: str) -> Iterator[Sample]:
    octets = as_sent(charset, phrase)
    text = f'Content-Type: text/plain; charset="{charset}"\n\nbody'
    parts = (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; "
        f"charset=us-ascii\n\nx\n--b\nContent-Type: text/html;\n charset={charset.upper()}\n\nx"
    )
    word = base64.b64encode(octets).decode()
    other = f"From: =?{charset}?B?{word}?= <s@s.example>\n"
    for kind, mail in (
        ("raw", _mail(octets, text)),
        ("raw, a part's charset", _mail(octets, parts)),
        ("raw, another field's charset", _mail(octets, "\nbody", other)),
    ):
        yield Sample(kind, mail, ("a@x.example",), phrase)


def _words(chance: random.Random, charset: str, phrase: str) -> Iterator[Sample]:
    octets = as_sent(charset, phrase)
    b64 = base64.b64encode(octets)
    quoted = quopri.encodestring(octets, header=True).replace(b"=\n", b"").replace(b"?", b"=3F")
    b, q = (b"=?%s?%s?" % (charset.encode(), kind) for kind in (b"B", b"q"))
    cut = chance.randrange(1, len(octets))
    halves = [base64.b64encode(half) for half in (octets[:cut], octets[cut:])]
    spellings: dict[str, bytes] = {
        "word": b + b64 + b"?=",
        "quoted word": q + quoted + b"?=",
        "word without padding": b + b64.rstrip(b"=") + b"?=",
        "word with blanks": b + b64[:4] + b" " + b64[4:] + b"?=",
        "word that does not end": b + b64,
        "lower case": b.replace(b"?B?", b"?b?") + b64 + b"?=",
    }
    if charset != "iso-2022-jp":  # its halves have a state each
        spellings |= {
            "character in two words": b + halves[0] + b"?= " + b + halves[1] + b"?=",
            "character in two lines": b + halves[0] + b"?=\n " + b + halves[1] + b"?=",
            "words without a blank": b + halves[0] + b"?=" + b + halves[1] + b"?=",
            "raw in a quoted word": q + octets.replace(b" ", b"_").replace(b"?", b"=3F") + b"?=",
        }
    for kind, subject in spellings.items():
        yield Sample(kind, _mail(subject, "\nbody"), ("a@x.example",), phrase)
    text = f"Content-Type: text/plain; charset={charset}\n\nbody"
    subject = b"=?x-unknown?B?" + b64 + b"?="
    yield Sample("word in no charset", _mail(subject, text), ("a@x.example",), phrase)


def _cut() -> Iterator[Sample]:
    for phrase in ("Привет из Москвы", "日本語の件名です", "Größere Grüße"):
        for take in (1, 2):
            octets = phrase.encode()[:-take]
            if octets.decode(errors="ignore").encode() == octets:
                continue
            meant = octets.decode(errors="replace")
            for charset in ("utf-8", "iso-8859-1", "koi8-r"):
                content = f"Content-Type: text/plain; charset={charset}\n\nbody"
                yield Sample("cut UTF-8", _mail(octets, content), ("a@x.example",), meant)
            word = b"=?utf-8?B?" + base64.b64encode(octets) + b"?="
            yield Sample("cut UTF-8 in a word", _mail(word, "\nbody"), ("a@x.example",), meant)


def _layouts() -> Iterator[Sample]:
    fields = ["From: s@s.example", "To: a@x.example", "cc: b@x.example", "SUBJECT: Hallo Welt"]
    plain = "\r\n".join(fields)
    ses = "Return-Path: <s@s.example>\r\nX-SES-Spam-Verdict: PASS\r\n"
    body = ["", "To: body@x.example"]
    layouts = {
        "CR alone": "\r".join([*fields, *body]),
        "CR alone below SES's lines": ses + "\r".join([*fields, *body]),
        "LF alone": "\n".join([*fields, *body]),
        "CR CR LF": "\r\r\n".join([*fields, "X: y"]) + "\r\n\r\nbody",
        "no empty line, no body": plain,
        "blank before the colon": plain.replace(":", " :") + "\r\n\r\n",
        "no blank after the colon": plain.replace(": ", ":") + "\r\n\r\n",
        "folded before the value": plain.replace(": ", ":\r\n ") + "\r\n\r\n",
        "folded by a tab": plain.replace("Hallo ", "Hallo\r\n\t") + "\r\n\r\n",
        "a blank line in a fold": plain.replace("Hallo ", "Hallo\r\n \r\n ") + "\r\n\r\n",
        "NUL": f"X: \0\r\n{plain}\r\n\r\n",
        "no line end at the end": f"{plain}\r\n\r\nbody",
    }
    for kind, head in layouts.items():
        yield Sample(kind, head.encode(), ("a@x.example", "b@x.example"), "Hallo Welt")
