"""The configuration: one TOML file, each option also from the environment, one report of problems.

`config.example.toml` explains every option; `load` is the way in.
"""

from postamt_sync.config.listen import ListenAddress
from postamt_sync.config.live_settings import LiveSettings
from postamt_sync.config.load import load
from postamt_sync.config.settings import Mailbox, Settings, WebhookSettings

__all__ = ["ListenAddress", "LiveSettings", "Mailbox", "Settings", "WebhookSettings", "load"]
