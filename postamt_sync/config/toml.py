"""Writing values as TOML; the standard library only reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence


def toml_value(value: object) -> str:
    """Render text, numbers, booleans, lists and tables inline; anything else as its text."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case dict():
            return "{ " + ", ".join(f"{k} = {toml_value(v)}" for k, v in value.items()) + " }"
        case Sequence() if not isinstance(value, str):
            return "[" + ", ".join(toml_value(v) for v in value) + "]"
        case _:
            # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
