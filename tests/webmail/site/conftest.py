from __future__ import annotations

import pytest

from tests.browser import Browser


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """A real one, which others have used before: begin with `signed_in` or `sign_in_page`."""
    return chromium
