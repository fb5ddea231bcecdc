"""Runs a campaign by hand, and prints how to run it again.

python -m tests.faults.campaign --seed 7 --rounds 200
python -m tests.faults.campaign --seed 7 --minutes 60 --disk mail --disk state
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time

from tests.faults.campaign.campaign import Outcome, Plan, at_hand, run_in
from tests.faults.campaign.faults import FAULTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=20, help="rounds of a campaign (20)")
    parser.add_argument("--minutes", type=float, default=0.0, help="go on with the next seeds")
    parser.add_argument("--rate", type=float, default=10.0, help="mails a second (10)")
    parser.add_argument("--disk", action="append", default=[], choices=["mail", "state"])
    parser.add_argument("--rows", type=int, default=0, help="rows that the ledger begins with (0)")
    parser.add_argument("--names", type=int, default=0, help="of which so many lie in a Maildir")
    parser.add_argument("--keep", metavar="DIR", help="an empty directory that is left as it is")
    parser.add_argument("--faults", default="", help="by name, with commas; all that can be had")
    asked = parser.parse_args()
    # A daemon that is killed while S3 answers it is no news.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    there = at_hand(asked.disk)
    possible = [name for name, fault in FAULTS.items() if fault.needs <= there]
    faults = asked.faults.split(",") if asked.faults else possible
    end = time.monotonic() + asked.minutes * 60
    seed = asked.seed
    total: Outcome | None = None
    while True:
        plan = Plan(seed, asked.rounds, faults, asked.rate, asked.disk, asked.rows, asked.names)
        print(plan.command(), flush=True)
        outcome = asyncio.run(run_in(asked.keep, plan))
        print(outcome, *outcome.wrong, sep="\n", flush=True)
        total = outcome if total is None else total + outcome
        if time.monotonic() >= end:
            print(f"seeds {asked.seed} to {seed}: {total}")
            return 1 if total.wrong else 0
        seed += 1


if __name__ == "__main__":
    sys.exit(main())
