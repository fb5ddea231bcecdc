"""How pydantic-settings reads one variable of the environment: tables and lists are JSON.

Only `environment` loads this, where a variable is set: it would add a tenth to every start.
"""

from __future__ import annotations

from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from postamt_sync.config.findings import Location
from postamt_sync.config.settings import ENVIRONMENT_DELIMITER, ENVIRONMENT_PREFIX, Settings


class _Variables(Settings, BaseSettings):
    """Says which variables there are. None is ever made, so nothing is built that checks values."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter=ENVIRONMENT_DELIMITER,
        defer_build=True,
    )


def read(name: str, text: str, at: Location) -> Any:
    """Return the value of an option, unchecked. None: it is null, or no JSON where it must be."""
    source = EnvSettingsSource(_Variables)
    source.env_vars = {name.lower(): text}
    try:
        value: Any = source()
        for step in at:
            value = value[step]
    except (SettingsError, KeyError, RecursionError):  # null is passed over by pydantic-settings
        return None
    return value
