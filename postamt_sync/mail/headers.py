"""What the header block of a stored mail says: SES's own fields on top of it, To, Cc and From.

Everything below SES's own fields was written by the sender, who can imitate them. SES puts its
fields on top in a fixed order, each once, and always ends with the same two. So its fields are the
leading run of those names, and nothing after that run is believed.

Everything here works on bytes, takes linear time, and never raises, whatever the bytes are.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from postamt_sync.mail.arrival import Verdicts
from postamt_sync.mail.header_block import fields_named, whole_header

MOST_ADDRESSES = 1_000
"""The most addresses that `addresses` returns."""

LONGEST_LISTS = 65_536
"""The most bytes of To and Cc that `addresses` reads."""

_SES_ORDER = (
    b"return-path",
    b"received",
    b"x-ses-spam-verdict",
    b"x-ses-virus-verdict",
    b"received-spf",
    b"authentication-results",
    b"x-ses-receipt",
    b"x-ses-dkim-signature",
)
_RANK = {name: rank for rank, name in enumerate(_SES_ORDER)}

# None of these expressions can match a text in two ways, so none can backtrack over the same text
# more than once.
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)\n(?![ \t])")

_TO_OR_CC = fields_named("to", "cc")
_FROM = fields_named("from")
_QUOTE = re.compile(r'(?<!\\)"')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PUNCTUATION = re.compile(r'["()\\]')
_NO_COMMA = re.compile(r'(@[^\s"<>(),;:@]+)\s+(?=[^\s"<>(),;:@]+@)')
"""The end of an address that only white space separates from the next."""
_END_OF_ONE = re.compile(r">\s*,")
_ACCEPTED = re.compile(
    rb"\sby\s+inbound-smtp\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?\s+with\s+[A-Z]{4,8}\s+id"
    rb"\s+([^\s;]+)"
)
_FOR = re.compile(
    rb"\s+for\s+(<)?"
    rb'((?:"(?:[^"\\\r\n]|\\[^\r\n])*"|[^\s"<>()@,;]+)@[^\s"<>()@,;]+)'
    rb"(?(1)>)\s*;"
)
_DATE = re.compile(
    rb"\s*(?:[A-Z][a-z]{2},\s*)?(\d{1,2})\s+([A-Z][a-z]{2})\s+(\d{4})"
    rb"\s+(\d\d):(\d\d):(\d\d)\s+([+-])(\d\d)([0-5]\d)(?:\s|\Z)"
)
_MONTH = {
    name: month
    for month, name in enumerate(
        b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}

# SES begins a new line for each method. A sender can put `dkim=pass` into HELO or MAIL FROM, which
# end up in the middle of a line, but not a line end.
_METHOD = re.compile(rb"\n[ \t]+(spf|dkim|dmarc)=([a-z]+)\b")

_SCAN_VERDICTS = frozenset({"PASS", "FAIL", "GRAY", "PROCESSING_FAILED"})
_RESULTS = {
    b"pass": "PASS",
    b"fail": "FAIL",
    b"softfail": "GRAY",
    b"neutral": "GRAY",
    b"none": "GRAY",
}

# Newer versions of the standard library drop a whole list for one bad address unless told not to;
# older ones are always lenient.
_LENIENT = {"strict": False} if hasattr(email.utils, "supports_strict_parsing") else {}


@dataclass(frozen=True, slots=True)
class SesHeaders:
    """What SES itself wrote on top of a mail. None: it did not, or not in a form that we know.

    `recipient` is the one true recipient that its Received names, as SES wrote it: without display
    name and angle brackets, with its quotes. `received_at` is when SES received the mail, in
    seconds since 1970.
    """

    recipient: str | None
    received_at: float | None
    verdicts: Verdicts


def ses_headers(head: bytes, key: str) -> SesHeaders | None:
    """Return what SES wrote on top of the mail that it stored under `key`.

    None unless the topmost Received is SES's own: it names an inbound-smtp host of AWS and the SMTP
    id that is the last part of the key, which no sender can know beforehand. `head` must contain
    all of SES's fields: pass as much as `header_block` needs.
    """
    own = dict(_ses_block(head))
    received = own.get(b"received")
    if received is None:
        return None
    clauses = _after_id(received, key.rpartition("/")[2].encode("utf-8", "surrogatepass"))
    if clauses is None:
        return None
    return SesHeaders(_recipient(clauses), _received_at(clauses), _verdicts(own))


def addresses(head: bytes) -> tuple[str, ...]:
    """Return the addresses in To and Cc, in order. They are the sender's claim, not the envelope.

    Display names and comments are left out; only UTF-8 is decoded. At most MOST_ADDRESSES from the
    first LONGEST_LISTS bytes are returned. What cannot be parsed is skipped, without harm to the
    other fields.
    """
    return _addresses_in(head, _TO_OR_CC)


def author(head: bytes) -> str:
    """Return the first address in From, "" if there is none. It is what the sender claims to be."""
    return next(iter(_addresses_in(head, _FROM)), "")


def _addresses_in(head: bytes, fields: re.Pattern[bytes]) -> tuple[str, ...]:
    found: list[str] = []
    left = LONGEST_LISTS
    for field in fields.finditer(b"\n" + whole_header(head)):
        value = field[2]
        if left <= 0 or len(found) >= MOST_ADDRESSES:
            break
        room, left = left, left - len(value)
        if left < 0:
            value = value[: room + 1].rpartition(b",")[0]
        found += _in_list(_unfolded(value.decode("utf-8", "replace")))
    return tuple(found[:MOST_ADDRESSES])


def _unfolded(text: str) -> str:
    """Return a field as one line. A CR alone separates addresses."""
    return text.replace("\r\n", "").replace("\n", "").replace("\r", ",")


def _in_list(text: str) -> list[str]:
    """Return the addresses of one field. An unterminated quote or comment is ignored."""
    if len(_QUOTE.findall(text)) % 2 or any(map(_is_an_address, _QUOTED.findall(text))):
        text = text.replace('"', ",")
    outside = _QUOTED.sub("", text)
    if outside.count("(") != outside.count(")"):
        text = text.replace("(", ",").replace(")", ",")
    text = _NO_COMMA.sub(r"\1,", text)
    return _parsed(text) or (_parsed(_PUNCTUATION.sub(",", text)) if "\\" in text else [])


def _parsed(text: str) -> list[str]:
    # The parser answers thousands of nested comments with a RecursionError, other oddities with the
    # rest of these.
    with contextlib.suppress(RecursionError, ValueError, IndexError, TypeError):
        found = (address for _, address in email.utils.getaddresses([text], **_LENIENT))
        return list(_without_apostrophes([address for address in found if "@" in address]))
    return []


def _is_an_address(quoted: str) -> bool:
    """Tell whether what looks quoted holds a whole address: then two quotes are unterminated."""
    return "@" in quoted and _END_OF_ONE.search(quoted) is not None


def _without_apostrophes(found: list[str]) -> Iterator[str]:
    """Yield the addresses without apostrophes around them.

    Such a one is dropped where it is also there without them: then it was a display name.
    """
    known = set(found)
    for address in found:
        bare = address[1:-1] if address[:1] == address[-1:] == "'" else address
        if bare == address or bare not in known:
            yield bare


def _ses_block(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the fields of SES's own that we read: name in lower case, value still folded."""
    at, rank = 0, -1
    while rank < _RANK[b"authentication-results"]:
        field = _FIELD.match(head, at)
        if field is None:
            return
        name = field[1].lower()
        own_rank = _RANK.get(name, -1)
        if own_rank <= rank:
            return
        rank, at = own_rank, field.end()
        yield name, field[2]


def _after_id(received: bytes, message_id: bytes) -> bytes | None:
    """Return what follows SES's own id clause, the only part that the sender cannot influence."""
    for accepted in _ACCEPTED.finditer(received):
        if accepted[1] == message_id:
            return received[accepted.end() :]
    return None


def _recipient(clauses: bytes) -> str | None:
    match = _FOR.match(clauses)
    if match is None:
        return None
    try:
        return match[2].decode()
    except UnicodeDecodeError:
        return None


def _received_at(clauses: bytes) -> float | None:
    match = _DATE.match(clauses.rpartition(b";")[2])
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    try:
        moment = datetime(
            int(year), _MONTH[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except (KeyError, ValueError):
        return None
    ahead = int(zone_hours) * 3600 + int(zone_minutes) * 60
    return moment.timestamp() + (ahead if sign == b"-" else -ahead)


def _verdicts(own: dict[bytes, bytes]) -> Verdicts:
    methods: dict[bytes, set[str | None]] = {}
    for method, result in _METHOD.findall(own.get(b"authentication-results", b"")):
        methods.setdefault(method, set()).add(_RESULTS.get(result))
    spf = own.get(b"received-spf", b"").split(maxsplit=1)
    return Verdicts(
        spam=_scan_verdict(own.get(b"x-ses-spam-verdict", b"")),
        virus=_scan_verdict(own.get(b"x-ses-virus-verdict", b"")),
        spf=_RESULTS.get(spf[0]) if spf else _agreed(methods.get(b"spf", set())),
        # One good signature of several is enough (RFC 6376 section 6.1).
        dkim="PASS" if "PASS" in methods.get(b"dkim", ()) else _agreed(methods.get(b"dkim", set())),
        dmarc=_agreed(methods.get(b"dmarc", set())),
    )


def _scan_verdict(value: bytes) -> str | None:
    word = value.strip().decode("ascii", "replace").upper()
    return word if word in _SCAN_VERDICTS else None


def _agreed(results: set[str | None]) -> str | None:
    return next(iter(results)) if len(results) == 1 else None
