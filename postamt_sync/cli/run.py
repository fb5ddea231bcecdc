"""`postamt-sync run`: the daemon."""

from __future__ import annotations

import asyncio
import os

from postamt_sync.app.daemon import Daemon
from postamt_sync.app.memory import give_back_large_blocks
from postamt_sync.aws.clients import lean_session, refuse_bad_settings
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.options import ConfigPath, Debug
from postamt_sync.config import load
from postamt_sync.errors import ExitCode, PostamtError
from postamt_sync.host.service.user import refuse_root
from postamt_sync.logs import configure_logging


def run(config: ConfigPath = None, debug: Debug = False) -> ExitCode:
    """Run the daemon: hear of mail, fetch it, deliver it, until it is stopped.

    Logs go to standard error: lines for people on a terminal, JSON elsewhere.
    SIGHUP reloads the configuration; a changed file does so by itself. SIGTERM or
    Ctrl-C stops it within seconds, a second one at once.

    \b
    Examples:
      postamt-sync run
      postamt-sync run --config ./config.toml --debug
    """
    settings = load(config)
    refuse_root(settings, "run")
    _refuse_bad_endpoints(settings.aws.region)
    events = configure_logging(level="debug" if debug else "info", words=complete)
    give_back_large_blocks()
    asyncio.run(_until_stopped(Daemon(settings, lambda: load(config), events)))
    return ExitCode.OK


def _refuse_bad_endpoints(region: str) -> None:
    try:
        session = lean_session(region)
    except PostamtError:
        return  # an AWS file that may be repaired at any moment: the daemon reports it
    refuse_bad_settings(session)


async def _until_stopped(daemon: Daemon) -> None:
    await daemon.run()
    # Everything is on disk. A thread may still be waiting for an answer from AWS that nobody needs,
    # and both asyncio and the interpreter would wait for the thread.
    os._exit(ExitCode.OK)
