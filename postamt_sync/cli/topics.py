"""Longer explanations, to be read in a terminal or on the web.

Each is a Markdown file in `topics/`; its name is what a person types, its first line the title.
"""

from __future__ import annotations

from importlib.resources import files

_PLACE = files("postamt_sync") / "topics"
_SUFFIX = ".md"


def topics() -> dict[str, str]:
    """Return the titles by name, in order of the names."""
    names = sorted(
        each.name.removesuffix(_SUFFIX) for each in _PLACE.iterdir() if each.name.endswith(_SUFFIX)
    )
    return {name: text_of(name).partition("\n")[0].removeprefix("# ") for name in names}


def text_of(name: str) -> str:
    """Return the text of a topic, which must exist."""
    return (_PLACE / f"{name}{_SUFFIX}").read_text(encoding="utf-8")


def show(name: str) -> None:
    """Print a topic: laid out on a terminal, as plain Markdown elsewhere."""
    # Imported late: the help of a verb needs none of this.
    from rich.markdown import Markdown  # noqa: PLC0415
    from rich.theme import Theme  # noqa: PLC0415

    from postamt_sync.cli.console import is_terminal, open_console  # noqa: PLC0415

    text = text_of(name)
    if is_terminal():
        console = open_console()
        with console.use_theme(Theme({"markdown.code": "cyan", "markdown.h1": "bold"})):
            console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    else:
        print(text, end="")


def show_list() -> None:
    """Print the list of topics."""
    width = max(map(len, topics()))
    print("Topics, each shown by: postamt-sync help TOPIC\n")
    for name, title in topics().items():
        print(f"  {name:<{width}}  {title}")
