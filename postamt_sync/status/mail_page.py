"""The page of one mail: what `find` says about it, laid out like the status page."""

from __future__ import annotations

import time

from markupsafe import Markup

from postamt_sync.config import Settings
from postamt_sync.config.command import CommandLine
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.tracks import read_word
from postamt_sync.status.find import Find
from postamt_sync.status.moments import local_time
from postamt_sync.status.page import STYLE, TEMPLATES
from postamt_sync.status.stations import stations


def render_mail(settings: Settings, mail: str) -> bytes | None:
    """Return the document, None if the ledger does not know the mail. Blocking.

    Raises PostamtError as the ledger does.
    """
    ledger = Ledger.open_existing(settings.state_dir)
    try:
        work = Find(settings, ledger, None, [read_word(mail)], None, 1)
        work.at_home(read_files=False)
        result = work.end()
    finally:
        ledger.close()
    if not result.mails or result.mails[0].mail != mail:
        return None
    (found,) = result.mails
    line = CommandLine(settings.source)
    return (
        TEMPLATES.get_template("mail.html")
        .render(
            style=Markup(STYLE),  # noqa: S704 - our own file
            found=found,
            stations=list(stations(found, time.monotonic(), running=bool(result.holder))),
            problems=[each for each in result.looked if each.problem],
            command=line.typed(f"find {mail}"),
            complete=line.complete,
            at=local_time,
        )
        .encode()
    )
