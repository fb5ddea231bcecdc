from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import Browser, browsing
from tests.doubles.webmail import WebBrowser, WebmailScene


@pytest.fixture
def scene() -> WebmailScene:
    """A webmail that anna and bruno may sign in to."""
    scene = WebmailScene()
    scene.let_in("anna", "bruno")
    return scene


@pytest.fixture
def browser(scene: WebmailScene) -> WebBrowser:
    """Where anna is signed in."""
    return scene.browser("anna")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser, one for all tests of a process."""
    with browsing() as browser:
        yield browser
