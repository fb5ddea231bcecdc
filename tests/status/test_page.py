"""The status page: what it says, and that it is one sound document whatever strangers write."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html.parser import HTMLParser

import pytest

from postamt_sync.config import Settings
from postamt_sync.ledger import CourierLock, Ledger, ObjectState
from postamt_sync.ledger.incidents import Cause, Incident
from postamt_sync.mail.arrival import Source
from postamt_sync.status.page import ALERTS_SHOWN, POLICY, WAITING_SHOWN, render
from postamt_sync.status.report import SHOWN, Runtime
from postamt_sync.status.report_cache import read_report_apart
from tests.doubles.ledger import bring_to, listing, take
from tests.status.seeded import MARKUP, a_good_month, everything_wrong

VOID = {"meta", "link", "rect"}
"""Elements without content; a rect closes itself."""


class Document(HTMLParser):
    """What a browser makes of it: elements in their nesting, and the text between them."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.titles: list[str] = []
        self.style = ""
        self.feed(html.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag
            self.text += " " if tag in {"dt", "dd"} else ""

    def handle_data(self, data: str) -> None:
        match self.open[-1:]:
            case ["style"]:
                self.style += data
            case ["title"]:
                self.titles.append(data)
            case _:
                self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(settings: Settings, runtime: Runtime | None = None) -> Document:
    return Document(render(read_report_apart(settings), runtime or Runtime()))


def test_an_empty_ledger_is_well_and_says_what_is_to_come(
    settings: Settings, ledger: Ledger
) -> None:
    shown = page(settings)
    assert shown.titles[0] == "All is well · postamt-sync"
    for words in ("none yet", "Nothing was timed yet", "None has been asked yet", "0 delivered"):
        assert words in shown.words
    for words in ("Waiting 0", "Quarantine 0"):
        assert words in shown.words
    assert "never" not in shown.words


def test_after_a_good_month_all_is_well(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    with CourierLock(settings.state_dir, "run"):
        shown = page(settings)
    assert "All is well" in shown.words
    assert "Half of it came within 5 s, 95 of 100 within 6 h." in shown.words
    assert "212 listed, 0 new" in shown.words
    assert "postamt-sync run, process" in shown.words
    days = [t for t in shown.titles[1:] if re.fullmatch(r"\w+ \d{1,2} \w+: \d+", t)]
    assert len(days) == 30
    said = re.search(r"(\d+) in 30 days, at most (\d+) on one", shown.words)
    assert said is not None
    counts = [int(day.rpartition(" ")[2]) for day in days]
    assert [sum(counts), max(counts)] == [int(number) for number in said.groups()]


def test_no_bar_leaves_its_chart(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    bars = [r for r in page(settings).named("rect") if r["class"] == "bar"]
    assert len(bars) > 30
    for bar in bars:
        left, width, top, height = (
            float((bar.get(name) or "0").rstrip("%")) for name in ("x", "width", "y", "height")
        )
        assert 0 <= left <= left + width <= 100
        assert 0 <= top <= top + height <= 100.01
        assert width > 0 < height


def test_every_trouble_is_named_first(settings: Settings, ledger: Ledger) -> None:
    everything_wrong(ledger)
    shown = page(settings, Runtime(trouble="Access denied.", heartbeat_failing=True))
    first = shown.words.partition("Last mail")[0]
    for words in (
        "Something wants your attention",
        "The bucket cannot be read: Access denied.",
        "webhook: Nobody confirmed.",
        "Mailbox bruno: The disk of bruno is full.",
        "1 mail quarantined.",
        "poll.heartbeat_url",
    ):
        assert words in first


def test_a_trouble_of_several_is_told_once(settings: Settings, ledger: Ledger) -> None:
    refused = "We may not read the bucket. Ask AWS. Then wait."
    ledger.overview.source_bad(Source.POLL, refused)
    ledger.overview.source_bad(Source.QUEUE, "We may not read the bucket. Ask someone else.")
    ledger.arrivals.record([listing(key="a")])
    ledger.work.postpone(take(ledger, "a"), refused, time.monotonic() + 90)
    words = page(settings, Runtime(trouble=refused)).words
    assert words.count("Ask AWS.") == 1
    assert "The same stops: poll." in words
    assert "queue: We may not read the bucket. Ask someone else." in words
    assert "Because of what stands at the top:" in words


def test_alerts_are_shown_newest_first_and_a_lasting_one_wants_attention(
    settings: Settings, ledger: Ledger
) -> None:
    now = time.time()
    bounces = [Incident(Cause.BOUNCES, f"b{n}", now - n, f"It came back {n}.") for n in range(12)]
    ledger.incidents.happened(bounces)
    shown = page(settings)
    assert "All is well" in shown.words
    assert "Alerts 12 bounces" in shown.words
    assert shown.words.index("Quarantine") < shown.words.index("Alerts")
    assert re.findall(r"It came back (\d+)", shown.words) == [str(n) for n in range(ALERTS_SHOWN)]
    assert f"and {12 - ALERTS_SHOWN} more: postamt-sync status" in shown.words
    assert "to be told by mail" in shown.words
    alert = ledger.incidents.tell(ledger.incidents.to_tell(Cause.BOUNCES, now), b"body", now)
    assert alert is not None
    assert "told by mail" in page(settings).words.replace("to be told by mail", "")
    ledger.incidents.lasting(Cause.DEAD_LETTERS, {"q": "2 lie there."}, now - 8000)
    shown = page(settings)
    assert "Something wants your attention" in shown.words
    assert "Alerts 13 dead letters 2 h ago, to be told by mail 2 lie there. bounces" in shown.words


def test_mail_that_only_waits_is_no_trouble(settings: Settings, ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key="a")])
    ledger.work.await_envelope(take(ledger, "a"), time.monotonic() + 100)
    shown = page(settings)
    assert "All is well" in shown.words
    assert "its envelope may still come" in shown.words
    assert "due when the daemon runs" in shown.words
    with CourierLock(settings.state_dir, "run"):
        assert re.search(r"next attempt in \d+ s", page(settings).words)


def test_more_than_fits_is_counted(settings: Settings, ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key=f"w{n}") for n in range(WAITING_SHOWN + 7)])
    for number in range(SHOWN + 3):
        bring_to(ledger, ObjectState.QUARANTINED, f"q{number}")
    shown = page(settings).words
    assert "and 7 more" in shown
    assert "and 3 more" in shown
    assert "23 mails quarantined." in shown


@pytest.mark.parametrize(
    "text",
    [
        MARKUP,
        "</style><script>x()</script>",
        "</title></section></main><iframe src=x>",
        "&lt;b&gt; {{ 7 * 7 }} {% raw %}",
        "<!--",
        "]]>",
        "'\" onmouseover=x ",
        "\u2028\u2029\x00\x1b[31m\u202e",
    ],
)
def test_whatever_strangers_write_stays_text(settings: Settings, ledger: Ledger, text: str) -> None:
    clean = page(settings)
    ledger.overview.source_bad(Source.WEBHOOK, text)
    ledger.overview.source_ok(Source.POLL, text)
    ledger.arrivals.keep_notification(Source.WEBHOOK, text, text)
    ledger.arrivals.record([listing(key=f"incoming/{text}")])
    bring_to(ledger, ObjectState.QUARANTINED, f"q/{text}")
    shown = page(settings, Runtime(trouble=f"Denied: {text}"))
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    assert shown.text.count(safe) >= 5
    assert not {tag for tag, _ in shown.elements} & {"script", "img", "iframe", "b"}
    assert not [a for _, attributes in shown.elements for a in attributes if a.startswith("on")]
    assert shown.style == clean.style
    assert len(shown.titles) == 31


def test_text_that_no_encoding_has_breaks_nothing(settings: Settings, ledger: Ledger) -> None:
    assert "\\udc80" in page(settings, Runtime(trouble="\udc80")).words


def test_the_policy_names_the_style_and_nothing_else(settings: Settings, ledger: Ledger) -> None:
    shown = page(settings)
    digest = base64.b64encode(hashlib.sha256(shown.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in POLICY
    assert not [a for _, attributes in shown.elements for a in attributes if a == "style"]


def test_nothing_leads_elsewhere(settings: Settings, ledger: Ledger) -> None:
    a_good_month(ledger, settings.state_dir)
    shown = page(settings)
    assert "url(" not in shown.style
    assert "@import" not in shown.style
    addresses = [
        value
        for _, attributes in shown.elements
        for name, value in attributes.items()
        if name in {"href", "src", "xlink:href", "action"}
    ]
    assert addresses == ["data:,"]
    assert {"http-equiv": "refresh", "content": "60"} in shown.named("meta")
