from __future__ import annotations

import tomllib

from hypothesis import example, given
from hypothesis import strategies as st

from postamt_sync.config.toml import toml_value

PLAIN = (
    st.text(alphabet=st.characters(exclude_categories=["Cs"]))
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)


@example('\x7f\x1b"\\')
@given(st.recursive(PLAIN, st.lists, max_leaves=5))
def test_is_read_back(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value
