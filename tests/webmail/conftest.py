from __future__ import annotations

import pytest

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
