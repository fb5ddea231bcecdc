"""What a person sees of the tour: short lines for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

if TYPE_CHECKING:  # a terminal should see something before all of AWS is imported
    from postamt_sync.demo.household import CopyLocation, Household

WIDTH = 80
STEPS = ("announced", "fetched", "delivered")
TITLE, TO, STEP = 25, 12, 9
"""Widths of the columns of the table; a blank separates them, two precede the first."""


class Display:
    """Writes the tour to a terminal, or as plain text to anything else."""

    def __init__(self, out: TextIO, unread: Callable[[], bool] = lambda: False) -> None:
        """`unread` is set once nobody reads what is written any more."""
        self.unread = unread
        self._console = Console(file=out, width=WIDTH, highlight=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/]")

    def say(self, text: str) -> None:
        """Print a paragraph, wrapped."""
        self._console.print(f"  {escape(text)}", soft_wrap=False, width=WIDTH)

    def fact(self, name: str, text: str, *, done: bool = False) -> None:
        """Print a name and its value; `done` adds a tick."""
        tick = "  [green]✓[/]" if done else ""
        self._console.print(f"  [cyan]{escape(name):<{TO}}[/] {escape(text)}{tick}")

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show on a terminal that something is under way, and erase it afterwards."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(f"{escape(what)} …", spinner_style="cyan"):
            yield

    def good(self, text: str) -> None:
        self._console.print(f"  [green]✓[/] {escape(text)}")

    def bad(self, text: str) -> None:
        self._console.print(f"  [red]✗[/] {escape(text)}")

    def table_head(self) -> None:
        cells = "".join(f" {name:>{STEP}}" for name in (*STEPS, "IMAP"))
        self._console.print(f"  [dim]{'milliseconds since SES':<{TITLE + TO + 1}}{cells}[/]")

    def mail(
        self, title: str, places: Sequence[CopyLocation], steps: Sequence[float | None]
    ) -> None:
        """Print the hops of one mail: seconds since SES accepted it, None if it was not seen."""
        to = ", ".join(map(str, places))
        cells = "".join(f" {_milliseconds(step):>{STEP}}" for step in steps)
        self._console.print(f"  {escape(title):<{TITLE}} [cyan]{escape(to):<{TO}}[/]{cells}")

    def maildirs(self, household: Household, titles: dict[Path, str]) -> None:
        """Print the Maildirs as a tree, each file with the title of its mail."""
        tree = Tree(f"[bold]{escape(str(household.mail))}[/]", guide_style="dim")
        for name, maildir in household.maildirs.items():
            mailbox = tree.add(f"[cyan]{escape(name)}/Maildir[/]")
            for folder, paths in _by_folder(maildir, household).items():
                branch = mailbox.add(escape(folder)) if folder != "." else mailbox
                for path in paths:
                    label = titles.get(path, "?")
                    kept = path.name if len(path.name) <= 40 else f"{path.name[:39]}…"
                    branch.add(f"[dim]{escape(path.parent.name)}/{escape(kept)}[/] {escape(label)}")
        self._console.print(tree, soft_wrap=False, overflow="ellipsis", no_wrap=True)


def _by_folder(maildir: Path, household: Household) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for _, path in household.delivered():
        if path.is_relative_to(maildir):
            folder = path.parent.parent.relative_to(maildir)
            found.setdefault(str(folder), []).append(path)
    return found


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f}"
