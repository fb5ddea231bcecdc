"""The tour: a few mails through the whole system, a lost notification, a crash, and a verdict."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from postamt_sync.demo.daemon import COMMAND
from postamt_sync.demo.display import STEPS, Display
from postamt_sync.demo.household import POLL_SECONDS
from postamt_sync.demo.reply import Reply
from postamt_sync.demo.samples import ANNA, BRUNO, Sample, plain, samples
from postamt_sync.demo.system import DemoSystem, Sent, Step
from postamt_sync.quantities import count


async def play(
    root: Path,
    show: Display,
    *,
    once: bool,
    webmail: bool = False,
    command: Sequence[str] = COMMAND,
) -> bool:
    """Run the tour in an empty directory; return whether all mail arrived as it should.

    Without `once` everything stays up afterwards, until SIGINT or SIGTERM. `command` runs the
    daemon.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Like Ctrl-C: the children are stopped, and the directory is removed.
        loop.add_signal_handler(number, signal.raise_signal, signal.SIGINT)
    begin = time.monotonic()
    show.heading("A mail system of its own, on this machine alone")
    system = DemoSystem(root, command, with_webmail=webmail)
    tour = Tour(system, show)
    tour.announce()
    system.coming_up = tour.coming_up
    async with system:
        show.fact("ready after", f"{time.monotonic() - begin:.1f} s")
        well = await tour.go()
        if not once:
            asked = _stop_asked()  # before anybody is told how to stop it
            tour.invite()
            if not show.unread():
                await asked.wait()
            show.say("Stopping.")
    return well


class Tour:
    """The acts, in order; a failure in one does not keep the next from being tried."""

    def __init__(self, system: DemoSystem, show: Display) -> None:
        self._system = system
        self._show = show

    def announce(self) -> None:
        """Print what is known before anything is up: where to look, and where the files are."""
        self._show.fact("status page", f"http://{self._system.page}/  in some seconds")
        self._show.fact("directory", str(self._system.household.root))

    @contextmanager
    def coming_up(self, step: Step) -> Iterator[None]:
        """Show that a part is coming up, then tick it off."""
        with self._show.busy(step.value):
            yield
        system, fact = self._system, partial(self._show.fact, done=True)
        match step:
            case Step.AWS:
                fact("S3", f"{system.cloud.url}  emulated")
                fact("SNS", f"{system.cloud.sns.url}  signs and retries as AWS does")
            case Step.STACK:
                made = count(system.cloud.changes, "change")
                fact("stack", f"built by bootstrap apply, {made}")
            case Step.DAEMON:
                fact("daemon", f"process {system.daemon.pid}, its webhook confirmed")
            case Step.IMAP:
                self._show_login(done=system.imap is not None)
            case Step.WEBMAIL:
                self._show_webmail()

    async def go(self) -> bool:
        """Run all acts; return the verdict."""
        await self._send_samples()
        await self._lose_a_notification()
        await self._crash()
        well = self.judge()
        return await self._look_into_webmail() and await self._answer_in_webmail() and well

    def judge(self) -> bool:
        """Compare every mail with every file, show the tree, and print the verdict."""
        system, show = self._system, self._show
        titles = {mail.received.content: mail.sample.title for mail in system.sent}
        files = {
            path: titles.get(path.read_bytes(), "?") for _, path in system.household.delivered()
        }
        show.heading("What lies in the Maildirs")
        show.maildirs(system.household, files)
        show.heading("How it ended")
        for mail in (wrong := [mail for mail in system.sent if not system.is_right(mail)]):
            found = ", ".join(map(str, system.household.places_of(mail.received.content)))
            wanted = ", ".join(map(str, system.household.expected(mail.sample)))
            show.bad(f"{mail.sample.title}: found in {found or 'no mailbox'}, not in {wanted}")
        copies = sum(len(system.household.expected(mail.sample)) for mail in system.sent)
        if wrong or len(files) != copies:
            show.bad(f"{len(files)} files for {copies} copies. See {system.household.log}")
            return False
        show.good(f"{len(system.sent)} mails, {copies} copies: each there once, byte for byte.")
        return True

    def invite(self) -> None:
        """Print what the user can do now."""
        self._show.heading("It stays up until Ctrl-C")
        self._show.say("How things stand, and the way of each mail:")
        self._show.fact("status page", f"http://{self._system.page}/")
        config = self._system.household.config
        self._show.fact("in words", f"postamt-sync find tea --config {config}")
        if self._system.imap is not None:
            self._show.say("Look at the mail with any mail client (loopback, no encryption):")
            self._show_login()
        if self._system.webmail is not None:
            self._show.say("Read it in a browser, as if nothing at home were up:")
            self._show_webmail()

    async def _send_samples(self) -> None:
        self._show.heading("Mail comes in: announced, fetched, delivered, seen over IMAP")
        self._show.table_head()
        for sample in samples():
            await self._show_travel(self._system.send(sample))

    async def _lose_a_notification(self) -> None:
        self._show.heading("A notification gets lost: the poll finds the mail")
        self._show.say(
            f"SNS stays silent about the next mail. The poll looks every {POLL_SECONDS} s."
        )
        sample = plain("Nobody rang", "Lost on the way")
        sent = await self._show_travel(self._system.send(sample, lose_notifications=True))
        source = self._system.journey(sent).source
        if source:
            self._show.say(f"Found by: {source}. Whom it is for stood in SES's Received line.")

    async def _crash(self) -> None:
        system, show = self._system, self._show
        show.heading("The daemon is killed at work (SIGKILL), and started again")
        sending = [
            asyncio.create_task(system.send(plain(f"In the crash, {n}", f"Crash {n}")))
            for n in ("one", "two", "three")
        ]
        first = await sending[0]
        await system.until(lambda: bool(system.journey(first).steps))
        await system.daemon.kill()
        show.say(f"Killed process {system.daemon.pid}. Mail goes on coming in.")
        sent = [await task for task in sending]
        letter = plain("While it was down", "Nobody home")
        sent.append(await system.send(Sample(letter.title, letter.message, (ANNA, BRUNO))))
        begin = time.monotonic()
        await system.start_daemon()
        show.say(f"Process {system.daemon.pid} took over after {time.monotonic() - begin:.1f} s.")
        for mail in sent:
            await system.arrived(mail)
        # SNS must finish its retries first; only then is it certain that each came once.
        await system.cloud.sns.settled()
        await asyncio.gather(*(system.arrived(mail) for mail in sent))
        copies = sum(len(mail.sample.recipients) for mail in sent)
        if all(system.is_right(mail) for mail in sent):
            show.good(f"{len(sent)} mails, {copies} copies: nothing lost, nothing doubled.")
        else:
            show.bad(f"{len(sent)} mails, {copies} copies: not all as they should be.")

    async def _show_travel(self, sending: Awaitable[Sent]) -> Sent:
        """Follow one mail and show its row once it has arrived."""
        system = self._system
        sent = await sending
        over_imap = asyncio.create_task(system.seen_over_imap(sent))
        places = system.household.expected(sent.sample)
        journey, seen = system.journey(sent), None
        try:
            with self._show.busy(f"{sent.sample.title} is on its way"):
                if await system.arrived(sent):
                    await system.until(lambda: len(journey.mailboxes) >= len(places), within=1.0)
                    seen = await over_imap
        finally:
            over_imap.cancel()
        times = (*(journey.steps.get(step) for step in STEPS), seen)
        self._show.mail(
            sent.sample.title, places, [None if at is None else at - sent.at for at in times]
        )
        return sent

    async def _look_into_webmail(self) -> bool:
        """Compare the webmail's lists with what was sent; True if there is no webmail."""
        if self._system.webmail is None:
            return True
        self._show.heading("The same mail in the webmail, which knows nothing of the box at home")
        if not await self._system.seen_in_webmail():
            self._show.bad("Its lists are not what was sent.")
            return False
        self._show.good("Each mailbox sees its own mail, and none of the other's.")
        return True

    async def _answer_in_webmail(self) -> bool:
        """Answer the first mail in the webmail and follow it home; True if there is no webmail."""
        system, show = self._system, self._show
        if system.webmail is None:
            return True
        show.heading("Anna answers in the webmail, and the answer comes home to Sent")
        well = False
        async for station in Reply(system, system.webmail, system.sent[0]).travel():
            well = station.found
            say = show.good if well else show.bad
            say(f"{station.name:<14} {station.detail}")
        return well

    def _show_webmail(self) -> None:
        webmail = self._system.webmail
        if webmail is not None:
            self._show.fact("webmail", webmail.url)
            names = " or ".join(webmail.mailboxes)
            self._show.fact("", f"sign in as {names}, secret {webmail.secret}")

    def _show_login(self, *, done: bool = False) -> None:
        system = self._system
        if system.imap is None:
            self._show.fact("IMAP", system.imap_trouble)
            return
        logins = " or ".join(system.household.maildirs)
        where = f"{system.imap.host} port {system.imap.port}"
        self._show.fact("IMAP", f"{where}, login {logins}, password {system.password}", done=done)


def _stop_asked() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set; from now on they do nothing else."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    return asked
