"""A real browser for tests that want to see a page as a person does."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
PHONE = 360
DESKTOP = 1100

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="Chromium is not installed: sudo apt install chromium chromium-driver",
    ),
]
"""Set `pytestmark = needs_browser` in a module, or spread it over one test."""

# Otherwise each page has a process kept ready for the next one, and each frame in a sandbox one of
# its own: to start a process costs as much as to load a page.
_PROCESSES = ("SpareRendererForSitePerProcess", "IsolateSandboxedIframes")
_WITHOUT = (*_PROCESSES, "Translate", "MediaRouter", "OptimizationHints")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(_WITHOUT)}",
    "--process-per-site",
    # A name that a stranger has pointed at this machine.
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
)


class Browser:
    """One window that notes every request that it makes."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def resize(self, width: int, *, dark: bool = False, height: int = 800) -> None:
        """Be a screen of so many CSS pixels, whose owner likes it dark or light."""
        self._driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def open(self, url: str) -> None:
        self._driver.get(url)

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page; a promise that it returns is awaited."""
        return self._driver.execute_script(script, *arguments)

    def type(self, *keys: str) -> None:
        """Press keys, wherever the focus is; a longer text comes at once, as it is pasted.

        To press a key costs as much as to run a script.
        """
        for text in keys:
            if len(text) == 1:
                ActionChains(self._driver).send_keys(text).perform()
            else:
                self._driver.execute_cdp_cmd("Input.insertText", {"text": text})

    def choose(self, selector: str, *paths: Path) -> None:
        """Let a person choose files in a form, at once."""
        chosen = "\n".join(map(str, paths))
        self._driver.find_element(By.CSS_SELECTOR, selector).send_keys(chosen)

    def until(self, script: str, *arguments: object) -> Any:
        """Wait until this JavaScript is true, and return what it is."""
        return WebDriverWait(self._driver, 30, 0.1).until(lambda _: self.run(script, *arguments))

    def network(self, *, there: bool) -> None:
        """Let the machine be on line, or off."""
        self._driver.execute_cdp_cmd("Network.enable", {})
        line = {"offline": not there, "latency": 0, "downloadThroughput": -1}
        self._driver.execute_cdp_cmd(
            "Network.emulateNetworkConditions", {**line, "uploadThroughput": -1}
        )

    def in_zone(self, name: str) -> None:
        """Be where this time zone is; "" for that of the machine."""
        self._driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": name})

    def why_not_installed(self) -> list[Any]:
        """Return what keeps the browser from offering to install the page as an app."""
        said = self._driver.execute_cdp_cmd("Page.getInstallabilityErrors", {})
        found: list[Any] = said["installabilityErrors"]
        return found

    def picture(self, path: Path) -> None:
        """Keep what is seen as a PNG."""
        self._driver.save_screenshot(str(path))

    @contextmanager
    def on_paper(self) -> Iterator[None]:
        """Within it the page is as it is printed."""
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        try:
            yield
        finally:
            self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

    @contextmanager
    def second_window(self, url: str) -> Iterator[None]:
        """Within it everything happens in a window of its own, beside the first one."""
        first = self._driver.current_window_handle
        self._driver.switch_to.new_window("tab")
        second = self._driver.current_window_handle
        try:
            self.open(url)
            yield
        finally:
            self._driver.switch_to.window(second)
            self._driver.close()
            self._driver.switch_to.window(first)

    @contextmanager
    def first_window(self) -> Iterator[None]:
        """Go back to it for a while."""
        here = self._driver.current_window_handle
        self._driver.switch_to.window(self._driver.window_handles[0])
        try:
            yield
        finally:
            self._driver.switch_to.window(here)

    @contextmanager
    def within(self, selector: str) -> Iterator[None]:
        """Be in a frame of the page for as long as the block lasts."""
        self._driver.switch_to.frame(self._driver.find_element(By.CSS_SELECTOR, selector))
        try:
            yield
        finally:
            self._driver.switch_to.default_content()

    @property
    def address(self) -> str:
        return str(self._driver.current_url)

    @property
    def title(self) -> str:
        return str(self._driver.title)

    @property
    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    def requests(self) -> list[str]:
        """Return the URLs that were asked for since the last call, in order."""
        messages = [
            json.loads(e["message"])["message"] for e in self._driver.get_log("performance")
        ]
        return [
            m["params"]["request"]["url"]
            for m in messages
            if m["method"] == "Network.requestWillBeSent"
        ]


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start Chromium, without a window and without a past."""
    assert BROWSER is not None
    with tempfile.TemporaryDirectory(prefix="cr", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = BROWSER
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = Chrome(options=options, service=Service(DRIVER))
        try:
            driver.set_page_load_timeout(60)
            driver.set_script_timeout(60)
            yield Browser(driver)
        finally:
            driver.quit()
