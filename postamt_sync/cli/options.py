"""The options that every verb takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="Configuration file; else $POSTAMT_SYNC_CONFIG, else /etc/postamt-sync/config.toml.",
        show_default=False,
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Log every step; show tracebacks.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DovecotDirectory = Annotated[
    Path, typer.Option("--directory", metavar="PATH", help="Where Dovecot's files lie.")
]
