"""What is written for people: the README and the topics, as one text for those who hold it to."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
TOPICS = sorted((REPOSITORY / "postamt_sync" / "topics").glob("*.md"))


def documentation() -> str:
    """Return README and topics, one after the other."""
    return "\n".join(path.read_text() for path in (README, *TOPICS))
