"""The folders of the verdicts, from the options to whoever sorts mail."""

from __future__ import annotations

from dataclasses import fields

from postamt_sync.config.settings import DeliverySettings
from postamt_sync.config.verdict_folders import OPTIONS, verdict_folders
from postamt_sync.mail.routing import VerdictFolders


def test_every_folder_has_its_option() -> None:
    assert list(OPTIONS) == [field.name for field in fields(VerdictFolders)]
    assert set(OPTIONS.values()) <= set(DeliverySettings.model_fields)


def test_the_inbox_in_whatever_case_is_no_folder() -> None:
    delivery = DeliverySettings(junk_folder="inbox", virus_folder="", dmarc_folder="Lists.Forged")
    assert verdict_folders(delivery) == VerdictFolders("", "", "Lists.Forged")
