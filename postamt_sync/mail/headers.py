"""What the beginning of a stored mail says: where its header block ends, what SES put on top of
it, and whom To and Cc name.

Everything below SES's own lines was written by the sender, who may write lines that look like
SES's. SES puts its lines on top, in one order, each once, and ends with two that it always writes:
so its lines are the leading run of those names, and nothing after the run is believed.

All of it works on bytes in linear time and never raises, whatever the bytes are.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from postamt_sync.mail.arrival import Verdicts

LONGEST_HEAD = 1 << 20
"""Bytes of a mail that are read in search of the end of its header block."""

MOST_ADDRESSES = 1_000
"""Addresses that `addresses` returns at most."""

LONGEST_LISTS = 65_536
"""Bytes of To and Cc that `addresses` reads at most."""

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

# No expression here can match the same text in two ways, so none can backtrack more than once over
# what it read.
_CRS = re.compile(rb"\r+\n?")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)\n(?![ \t])")
_TO_OR_CC = re.compile(rb"(?:\A|\n)(?:to|cc)[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE)
_FROM = re.compile(rb"(?:\A|\n)from[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE)
_QUOTE = re.compile(r'(?<!\\)"')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PUNCTUATION = re.compile(r'["()\\]')
_NO_COMMA = re.compile(r'(@[^\s"<>(),;:@]+)\s+(?=[^\s"<>(),;:@]+@)')
"""Between two addresses that nothing else separates."""
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

# SES begins a line with each method. A sender can put `dkim=pass` into his HELO or MAIL FROM, which
# stand in the middle of a line, but no line end.
_METHOD = re.compile(rb"\n[ \t]+(spf|dkim|dmarc)=([a-z]+)\b")

_SCAN_VERDICTS = frozenset({"PASS", "FAIL", "GRAY", "PROCESSING_FAILED"})
_RESULTS = {
    b"pass": "PASS",
    b"fail": "FAIL",
    b"softfail": "GRAY",
    b"neutral": "GRAY",
    b"none": "GRAY",
}

# Newer versions of the standard library throw away a whole list for one bad address unless told
# otherwise; older ones know only the lenient way.
_LENIENT = {"strict": False} if hasattr(email.utils, "supports_strict_parsing") else {}


@dataclass(frozen=True, slots=True)
class SesHeaders:
    """What SES itself wrote on top of a mail.

    `recipient` is the one true recipient that its Received names, as SES wrote it: no display name,
    no angle brackets, quotes kept. `received_at` is when SES received the mail, in seconds since
    1970. None means that SES did not say, or not in a form that we know.
    """

    recipient: str | None
    received_at: float | None
    verdicts: Verdicts


def header_block(head: bytes) -> bytes | None:
    """Return the header block of a mail that begins with `head`, without the empty line after it.

    The block ends at the first empty line and nowhere else, as mail clients and Dovecot have it: a
    line within it that is no header (a mbox `From `, a name that is not ASCII) hides nothing that
    follows. None means that `head` has no empty line: fetch more. If `head` is all there is, all
    of it is header.
    """
    if head.startswith((b"\n", b"\r\n")):
        return b""
    found = _EMPTY_LINE.search(head)  # stops at the first; a body may be long
    return head[: found.start() + 1] if found else None


def whole_header(head: bytes) -> bytes:
    """Return the header block of a mail of which `head` is all that there is to read.

    Where nothing ends it, it may be a mail with the line ends of old Macs, below SES's own lines:
    then a CR alone is a line end.
    """
    block = header_block(head)
    if block is None and b"\r" in head:
        head = _CRS.sub(_line_ends, head)
        block = header_block(head)
    return head if block is None else block


def _line_ends(crs: re.Match[bytes]) -> bytes:
    return crs[0] if crs[0].endswith(b"\n") else b"\n" * len(crs[0])


def ses_headers(head: bytes, key: str) -> SesHeaders | None:
    """Return what SES wrote on top of the mail that it stored under `key`.

    None unless the topmost Received is SES's own: taken in by an inbound-smtp host of AWS under the
    SMTP id that is the last part of the key. No sender can know that id beforehand. `head` must
    reach beyond SES's lines: give it as much as `header_block` wants.
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
    """Return the addresses in To and Cc, in order: what the sender claims, not the envelope.

    Display names and comments are left out, nothing is decoded but UTF-8. At most MOST_ADDRESSES
    from the first LONGEST_LISTS bytes; what cannot be read is passed over, and takes nothing of
    another field with it.
    """
    return _addresses_in(head, _TO_OR_CC)


def author(head: bytes) -> str:
    """Return the first address in From, which the sender claims to be; "" where there is none."""
    return next(iter(_addresses_in(head, _FROM)), "")


def _addresses_in(head: bytes, fields: re.Pattern[bytes]) -> tuple[str, ...]:
    found: list[str] = []
    left = LONGEST_LISTS
    for field in fields.finditer(whole_header(head)):
        value = field[1]
        if left <= 0 or len(found) >= MOST_ADDRESSES:
            break
        room, left = left, left - len(value)
        if left < 0:
            value = value[: room + 1].rpartition(b",")[0]
        found += _in_list(_unfolded(value.decode("utf-8", "replace")))
    return tuple(found[:MOST_ADDRESSES])


def _unfolded(text: str) -> str:
    """Return a field in one line; no address goes on behind a CR alone."""
    return text.replace("\r\n", "").replace("\n", "").replace("\r", ",")


def _in_list(text: str) -> list[str]:
    """Return the addresses of one field. An unterminated quote or comment counts as none."""
    if len(_QUOTE.findall(text)) % 2 or any(map(_is_an_address, _QUOTED.findall(text))):
        text = text.replace('"', ",")
    outside = _QUOTED.sub("", text)
    if outside.count("(") != outside.count(")"):
        text = text.replace("(", ",").replace(")", ",")
    text = _NO_COMMA.sub(r"\1,", text)
    return _parsed(text) or (_parsed(_PUNCTUATION.sub(",", text)) if "\\" in text else [])


def _parsed(text: str) -> list[str]:
    # A RecursionError is the answer to thousands of nested comments, the others to what no
    # version of the parser foresaw.
    with contextlib.suppress(RecursionError, ValueError, IndexError, TypeError):
        found = (address for _, address in email.utils.getaddresses([text], **_LENIENT))
        return list(_without_apostrophes([address for address in found if "@" in address]))
    return []


def _is_an_address(quoted: str) -> bool:
    """Whether a whole address stands between two quotes, which each lack their other one."""
    return "@" in quoted and _END_OF_ONE.search(quoted) is not None


def _without_apostrophes(found: list[str]) -> Iterator[str]:
    """Yield addresses without those around them; as a name, one stands there beside itself."""
    known = set(found)
    for address in found:
        bare = address[1:-1] if address[:1] == address[-1:] == "'" else address
        if bare == address or bare not in known:
            yield bare


def _ses_block(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield SES's own fields that we read: name in lower case, value still folded."""
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
    """Return what follows SES's own id clause: only this part cannot hold words of the sender."""
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
