"""Metrics and the status page of a real daemon, asked over HTTP and seen by a real browser."""

from __future__ import annotations

import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from postamt_sync.ledger import Ledger
from tests.browser import DESKTOP, PHONE, Browser, needs_browser
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home, Running
from tests.end_to_end.letters import letter_to_both, put
from tests.status.seeded import MARKUP, a_good_month, began_long_ago, everything_wrong
from tests.support.http_server import served

LISTEN = {"POSTAMT_SYNC_ADMIN__LISTEN": "127.0.0.1:0"}
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
"""Where no bucket answers: what waits goes on waiting."""
SHOWING = "showing how things stand"


def url(daemon: Running) -> str:
    return str(daemon.until(SHOWING)["url"])


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())


def metric(text: str, name: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"postamt_sync_{name}" and sample.labels == labels
    ]
    return float(found)


def test_a_delivered_mail_is_seen_and_still_is_after_a_restart(home: Home, s3: S3Double) -> None:
    Ledger.open(home.state).close()
    began_long_ago(home.state)
    put(s3, letter_to_both("both"))
    daemon = home.start(**LISTEN)
    daemon.until("delivered", count=2)

    def delivered() -> bool:  # a look is shown again for a moment
        return metric(read(url(daemon) + "metrics"), "mails", state="delivered") == 1

    daemon.wait(delivered, "the mail in the metrics")
    text = read(url(daemon) + "metrics")
    assert metric(text, "mailbox_delivered_total", mailbox="anna") == 1
    assert metric(text, "delivery_latency_seconds_count") == 2
    assert metric(text, "settled_mails_total") == 1
    assert metric(text, "bucket_readable") == 1
    assert "All is well" in read(url(daemon))
    assert daemon.stop() == 0
    again = home.start(**LISTEN)
    again.until("looked", source="reconcile")
    text = read(url(again) + "metrics")
    assert metric(text, "delivery_latency_seconds_count") == 2
    assert metric(text, "settled_mails_total") == 0
    assert again.stop() == 0


def test_switched_off_it_listens_nowhere(home: Home) -> None:
    daemon = home.start()
    daemon.until("started")
    assert daemon.events(SHOWING) == []
    assert daemon.stop() == 0


def test_a_stop_does_not_wait_for_whoever_looks(home: Home) -> None:
    daemon = home.start(**LISTEN)
    daemon.until("started")
    with urllib.request.urlopen(url(daemon), timeout=30):
        assert daemon.stop() == 0


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    return chromium


@contextmanager
def stranger(page: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve a page of someone else's, and note what is asked for there."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    with served(server):
        yield f"http://127.0.0.1:{server.server_port}/", asked


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a daemon with everything wrong that can be."""
    home = Home(tmp_path_factory.mktemp("troubled"), NOWHERE)
    ledger = Ledger.open(home.state)
    a_good_month(ledger, home.state)
    everything_wrong(ledger)
    ledger.close()
    daemon = home.start(**LISTEN)
    daemon.until("could not look, will try again")
    yield url(daemon)
    home.close()


@needs_browser[0]
@needs_browser[1]
class TestInTheBrowser:
    @pytest.mark.parametrize("dark", [False, True])
    @pytest.mark.parametrize("width", [PHONE, DESKTOP])
    def test_nothing_is_wider_than_the_screen(
        self, troubled: str, browser: Browser, width: int, dark: bool
    ) -> None:
        browser.resize(width, dark=dark)
        browser.open(troubled)
        assert browser.run("return innerWidth") == width
        wider = browser.run(
            "return [...document.querySelectorAll('body *')].filter(e => {"
            " const r = e.getBoundingClientRect();"
            " return r.width && (r.right > innerWidth + 0.5 || r.left < -0.5) })"
            ".map(e => e.tagName + '.' + e.className)"
        )
        assert wider == []
        assert browser.run("return document.documentElement.scrollWidth") <= width
        ground = browser.run("return getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in ground[4:-1].split(","))
        assert (brightness < 3 * 64) is dark

    def test_what_strangers_write_stays_text(self, troubled: str, browser: Browser) -> None:
        browser.open(troubled)
        assert browser.title == "Attention · postamt-sync"
        shown = browser.text
        assert shown.count(MARKUP) >= 4  # source, key, reason, quarantine
        assert "\\u202egnp.exe" in shown
        assert "\u202e" not in shown
        assert browser.run("return document.querySelectorAll('script, img, iframe').length") == 0

    def test_nothing_is_asked_for_but_the_page(self, troubled: str, browser: Browser) -> None:
        browser.open("about:blank")
        browser.requests()
        browser.open(troubled)
        assert [u for u in browser.requests() if not u.startswith("data:")] == [troubled]

    def test_markup_that_got_in_could_neither_run_nor_load(
        self, troubled: str, browser: Browser
    ) -> None:
        with stranger() as (elsewhere, asked):
            browser.open(elsewhere)
            assert asked, "the stranger can be reached"
            asked.clear()
            browser.open(troubled)
            browser.run(
                """
                const script = document.createElement("script");
                script.textContent = "document.title = 'taken'";
                const image = new Image(); image.src = arguments[0] + "image";
                const frame = document.createElement("iframe"); frame.src = arguments[0] + "frame";
                const style = document.createElement("style");
                style.textContent = "body { background: url(" + arguments[0] + "style) }";
                document.body.append(script, image, frame, style);
                return fetch(arguments[0] + "fetch").catch(() => null);
                """,
                elsewhere,
            )
            assert browser.title == "Attention · postamt-sync"
            # The browser may still want an icon of the page that it was on.
            assert not [path for path in asked if path != "/favicon.ico"]

    def test_a_page_of_someone_else_reads_nothing(self, troubled: str, browser: Browser) -> None:
        with stranger() as (elsewhere, _):
            browser.open(elsewhere)
            for path in ("", "metrics"):
                for mode in ("cors", "no-cors"):
                    got = browser.run(
                        "return fetch(arguments[0], {mode: arguments[1]})"
                        ".then(r => r.text()).catch(() => '')",
                        troubled + path,
                        mode,
                    )
                    assert got == ""

    def test_a_name_that_leads_here_shows_nothing(self, troubled: str, browser: Browser) -> None:
        browser.open(troubled.replace("127.0.0.1", "evil.example") + "metrics")
        assert "a stranger's that leads here" in browser.text
        assert "postamt_sync_mails" not in browser.text
        browser.open(troubled.replace("127.0.0.1", "localhost") + "metrics")
        assert "postamt_sync_mails" in browser.text

    def test_every_text_can_be_read_on_its_ground(self, troubled: str, browser: Browser) -> None:
        """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1; what is zero may be fainter."""
        for dark in (False, True):
            browser.resize(PHONE, dark=dark)
            browser.open(troubled)
            faint = browser.run(
                """
                const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => {
                  v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
                  return .2126 * r + .7152 * g + .0722 * b };
                const ground = e => { const c = getComputedStyle(e).backgroundColor;
                  return c === "rgba(0, 0, 0, 0)" ? ground(e.parentElement) : c };
                return [...document.querySelectorAll("body *")]
                  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
                  .filter(e => !e.closest("tr.none, svg"))
                  .map(e => { const a = light(getComputedStyle(e).color), b = light(ground(e));
                    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.className] })
                  .filter(([contrast]) => contrast < 4.5)
                """
            )
            assert faint == []


# The heartbeat


def test_a_watcher_hears_of_polls_and_no_log_shows_its_address(home: Home, s3: S3Double) -> None:
    with stranger() as (watcher, asked):
        home.configure(f'[poll]\ninterval = 10\nheartbeat_url = "{watcher}5f3e?token=5f3e"\n')
        daemon = home.start(**LISTEN)
        daemon.until("heartbeat arrives", host="127.0.0.1")
        assert asked[0] == "/5f3e?token=5f3e"
        daemon.wait(
            lambda: metric(read(url(daemon) + "metrics"), "heartbeat_failing") == 0, "the metric"
        )
        assert daemon.stop() == 0
    assert "5f3e" not in daemon.log.read_text()


def test_a_watcher_that_is_silent_holds_up_no_mail_and_no_stop(home: Home, s3: S3Double) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/5f3e"
        home.configure(f'[poll]\nheartbeat_url = "{address}"\n')
        daemon = home.start()
        connection, _ = silent.accept()
        with connection:
            put(s3, letter_to_both("both"))
            daemon.signal(signal.SIGHUP)
            daemon.until("delivered", count=2)
            assert daemon.events("heartbeat does not arrive") == []
            assert daemon.stop() == 0


def test_no_heartbeat_where_the_bucket_cannot_be_read(home: Home) -> None:
    with stranger() as (watcher, asked):
        home.configure(f'[poll]\nheartbeat_url = "{watcher}5f3e"\n')
        daemon = home.start(**NOWHERE)
        daemon.until("could not look, will try again")
        assert daemon.stop() == 0
        assert asked == []
