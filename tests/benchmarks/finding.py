"""How long `find` takes: in a ledger of many mails, and in the Maildirs that hold them.

    python tests/benchmarks/finding.py [--mails 100000] [--unread 2000]

Half of the mails have names that are not ASCII. `unread` of them are such as the ledger does not
remember the header of, whose files are read. Seconds on the wall, and of the CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from postamt_sync.delivery.filename import final_name, make_stem
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.tracks import read_word
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.status.find import Find
from tests.support.household import settings

AT_ONCE = 5_000


def fill(ledger: Ledger, maildir: Path, mails: int, unread: int) -> None:
    for part in ("new", "cur", "tmp"):
        (maildir / part).mkdir(parents=True)
    for first in range(0, mails, AT_ONCE):
        numbers = range(first, min(mails, first + AT_ONCE))
        arrivals = [
            Arrival("mail", f"incoming/{n:07}", Source.POLL, "e", 900, 1.7e9 + n) for n in numbers
        ]
        ledger.arrivals.record(arrivals)
        headers = [header(n, a) for n, a in zip(numbers, arrivals, strict=True) if n >= unread]
        ledger.headers.put(headers)
        for n in numbers:
            stem = make_stem("mail", f"incoming/{n:07}", "e", 1.7e9 + n)
            said = f"From: Clara <c{n}@x.example>\r\nSubject: Number {n}\r\n\r\n"
            (maildir / "cur" / f"{final_name(stem, 9, 9)}:2,S").write_text(said)


def header(n: int, arrival: Arrival) -> MailHeader:
    sender = f"{'Jörg Müller' if n % 2 else 'Clara White'} <s{n % 997}@x.example>"
    subject = f"Number {n}, about what we said last week"
    return MailHeader(arrival.mail_id, 1.7e9 + n, f"<{n}@x.example>", sender, "anna", subject)


def timed(what: str, work: Callable[[], int]) -> None:
    wall, cpu = time.monotonic(), time.process_time()
    found = work()
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(f"{what:44} {wall:7.2f} s {cpu:7.2f} s CPU, {found} found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--unread", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        here = settings(Path(scratch))
        ledger = Ledger.open(here.state_dir)
        fill(ledger, here.mailboxes[0].maildir, options.mails, options.unread)

        def search(*words: str, known: Ledger | None = ledger) -> int:
            work = Find(here, known, None, [read_word(word) for word in words], None, 5)
            work.at_home()
            return len(work.end().mails)

        timed("ledger alone, one mail", lambda: len(ledger.tracks.search([read_word("4711,")])))
        timed("ledger alone, all mails", lambda: len(ledger.tracks.search([read_word("number")])))
        timed("ledger and Maildirs, a sender and a number", lambda: search("muller", "4711,"))
        timed("ledger and Maildirs, nothing", lambda: search("nothing at all"))
        timed("without a ledger: every file is read", lambda: search("c4711@", known=None))
        ledger.close()


if __name__ == "__main__":
    main()
