"""What all tables of the configuration have in common, and the whole of it too."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file, or all of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
