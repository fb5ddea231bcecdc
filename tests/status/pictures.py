"""Pictures of the status page, to be looked at: empty, busy and broken, wide, narrow, dark.

python -m tests.status.pictures DIRECTORY
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from postamt_sync.config import Settings, load
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.status.mail_page import render_mail
from postamt_sync.status.page import render
from postamt_sync.status.report import Runtime
from postamt_sync.status.report_cache import read_report_apart
from tests.browser import browsing
from tests.status.seeded import a_good_month, began_long_ago, deliver, everything_wrong
from tests.support.household import configuration, configure

WIDTHS = (390, 1280)
SUBJECTS = (
    ("Clara White <clara@sender.example>", "Tea on Thursday?"),
    ("Stadtwerke <rechnung@stadtwerke.example>", "Ihre Rechnung für November liegt bereit"),
    ("山田太郎 <taro@mail.example>", "週末の予定について"),
    (
        "Newsletter <news@list.example>",
        "The week in gardening: bulbs, frost and what to do about it",
    ),
    ("GitHub <noreply@github.example>", "[postamt-sync] Run failed: tests (main)"),
)


def empty(_: Ledger, __: Settings) -> Runtime:
    return Runtime()


def first_evening(ledger: Ledger, settings: Settings) -> Runtime:
    began_long_ago(settings.state_dir)
    for n, ago in enumerate((900.0, 300.0, 3.0)):
        deliver(ledger, f"incoming/{n}", ago, "anna")
    name_all(ledger)
    return Runtime()


def busy(ledger: Ledger, settings: Settings) -> Runtime:
    a_good_month(ledger, settings.state_dir)
    name_all(ledger)
    return Runtime()


def broken(ledger: Ledger, settings: Settings) -> Runtime:
    a_good_month(ledger, settings.state_dir)
    everything_wrong(ledger)
    name_all(ledger)
    remedy = "Make new ones: postamt-sync bootstrap credentials rotate sync"
    denied = f"AWS refuses the credentials. {remedy}"
    for source in ("poll", "reconcile", "queue"):
        ledger.overview.source_bad(source, denied)
    return Runtime(trouble=denied, heartbeat_failing=True)


SCENES: tuple[Callable[[Ledger, Settings], Runtime], ...] = (empty, first_evening, busy, broken)


def name_all(ledger: Ledger) -> None:
    """Let each mail have a sender and a subject."""
    tracks = ledger.tracks.search([], limit=300)
    ledger.headers.put(
        [
            MailHeader(track.mail, track.stored_at, f"<{n}@x>", sender, "anna", subject)
            for n, track in enumerate(tracks)
            for sender, subject in [SUBJECTS[n % len(SUBJECTS)]]
        ]
    )


def main(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, browsing() as browser:
        for scene in SCENES:
            root = Path(scratch) / scene.__name__
            root.mkdir()
            settings = load(configure(root, configuration(root)), {})
            ledger = Ledger.open(settings.state_dir)
            runtime = scene(ledger, settings)
            pages = {scene.__name__: render(read_report_apart(settings), runtime)}
            if latest := ledger.headers.latest(1):
                pages[f"{scene.__name__}-mail"] = render_mail(settings, latest[0].mail) or b""
            ledger.close()
            for name, html in pages.items():
                file = root / f"{name}.html"
                file.write_bytes(html)
                for width in WIDTHS:
                    for dark in (False, True):
                        browser.resize(width, dark=dark)
                        browser.open(file.as_uri())
                        tall = browser.run("return document.documentElement.scrollHeight")
                        browser.resize(width, dark=dark, height=tall)
                        picture = target / f"{name}-{width}-{'dark' if dark else 'light'}.png"
                        browser.picture(picture)
                        print(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
